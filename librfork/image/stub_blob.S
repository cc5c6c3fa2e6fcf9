// The linked stub, as the writer copies it into images.
    .section .rodata
    .globl rfork_stub_begin
    .globl rfork_stub_end
    .hidden rfork_stub_begin
    .hidden rfork_stub_end
    .balign 16
rfork_stub_begin:
    .incbin RFORK_STUB_FILE
rfork_stub_end:
    .section .note.GNU-stack, "", @progbits
