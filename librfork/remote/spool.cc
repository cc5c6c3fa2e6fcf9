#include "remote/spool.h"

#include "image/status.h"
#include "remote/random.h"

#include <algorithm>

namespace rfork::remote {

namespace {

constexpr char digits[] = "0123456789abcdef";
constexpr std::size_t id_digits = 2 * sizeof(image::Id);

bool is_id(std::string_view text) {
    return text.size() == id_digits &&
           text.find_first_not_of(std::string_view(digits, 16)) == std::string_view::npos;
}

} // namespace

std::string id_text(const image::Id& id) {
    std::string text;
    text.reserve(id_digits);
    for (std::uint8_t byte : id.bytes) {
        text += digits[byte >> 4];
        text += digits[byte & 15];
    }
    return text;
}

image::Id new_id() {
    image::Id id;
    fill_random(id.bytes);
    return id;
}

std::string image_name(const image::Id& id) {
    return std::string(image_prefix) + id_text(id);
}

std::string temporary_name(const image::Id& id) {
    return std::string(temporary_prefix) + id_text(id) + std::string(temporary_suffix);
}

std::string log_name(std::string_view image_name) {
    return std::string(image_name) + std::string(log_suffix);
}

bool is_image_name(std::string_view name) {
    if (name.size() <= image_prefix.size() || name.size() > max_image_name ||
        !name.starts_with(image_prefix))
        return false;
    return std::none_of(name.begin(), name.end(), [](char letter) {
        unsigned char byte = static_cast<unsigned char>(letter);
        return byte == '/' || byte < 0x20 || byte == 0x7f;
    });
}

EntryKind kind_of_entry(std::string_view name) {
    if (name.starts_with(temporary_prefix) && name.ends_with(temporary_suffix)) {
        name.remove_prefix(temporary_prefix.size());
        name.remove_suffix(std::min(name.size(), temporary_suffix.size()));
        return is_id(name) ? EntryKind::temporary : EntryKind::foreign;
    }
    if (!name.starts_with(image_prefix))
        return EntryKind::foreign;
    name.remove_prefix(image_prefix.size());
    if (name.size() < id_digits || !is_id(name.substr(0, id_digits)))
        return EntryKind::foreign;
    name.remove_prefix(id_digits);
    if (name.empty())
        return EntryKind::image;
    if (name == image::claim_suffix)
        return EntryKind::claim;
    if (name == log_suffix)
        return EntryKind::log;
    return EntryKind::foreign;
}

} // namespace rfork::remote
