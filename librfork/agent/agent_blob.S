// The linked agent, as the tracer copies it into a room.
    .section .rodata
    .globl rfork_agent_begin
    .globl rfork_agent_end
    .hidden rfork_agent_begin
    .hidden rfork_agent_end
    .balign 16
rfork_agent_begin:
    .incbin RFORK_AGENT_FILE
rfork_agent_end:
    .section .note.GNU-stack, "", @progbits
