// The source that is an image: a snapshot as it was when the image was written, for another one to
// be made of it.
#pragma once

#include "image/reader.h"
#include "snapshot/snapshot.h"

#include <memory>
#include <string>
#include <vector>

namespace rfork::image {

class FrozenSnapshot {
  public:
    // Fills in `to`, which must be empty and not outlive this nor `fd`. `name`: for sentences.
    static Result<FrozenSnapshot> read(int fd, const std::string& name, capture::Snapshot& to);
    FrozenSnapshot(FrozenSnapshot&&) noexcept;
    ~FrozenSnapshot();

  private:
    class Pages;
    FrozenSnapshot();
    std::unique_ptr<Image> image_;
    std::vector<std::unique_ptr<Pages>> pages_;
};

} // namespace rfork::image
