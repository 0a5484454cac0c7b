// What XLA hands to a custom call on a CPU: the part of its C interface, version 0.3, that handlers.cc needs.
//
// XLA keeps this interface compatible in binary form. It is declared here and not included from jaxlib's
// xla/ffi/api/c_api.h, so that no build of the engine has to fetch 150 MB of jaxlib and what it depends on;
// tests/test_engine_build.py compares the layouts with the header of the jaxlib that is installed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>

namespace jaxgeom::xla {

constexpr int kMajorVersion = 0, kMinorVersion = 3;

constexpr int kMetadataExtension = 1;
struct Extension {
    size_t struct_size;
    int type;
    Extension *next;
};

struct Version {
    size_t struct_size;
    Extension *extensions;
    int major_version, minor_version;
};

struct Metadata {
    size_t struct_size;
    Version version;
    uint32_t traits;
};
struct MetadataExtension {
    Extension base;
    Metadata *metadata;
};

enum ErrorCode : int { kCancelled = 1, kInvalidArgument = 3, kResourceExhausted = 8 };
struct Error;
struct NewError {
    size_t struct_size;
    Extension *extensions;
    const char *message;
    ErrorCode code;
};

struct Api {
    size_t struct_size;
    Extension *extensions;
    Version version;
    const void *internal;
    Error *(*create_error)(NewError *);
};

enum Type : int { kInt32 = 4, kInt64 = 5, kFloat32 = 11, kFloat64 = 12 };
struct Buffer {
    size_t struct_size;
    Extension *extensions;
    Type type;
    void *data;
    int64_t rank;
    int64_t *shape;
};
struct Buffers {  // arguments or results; of kind 1 all of them
    size_t struct_size;
    Extension *extensions;
    int64_t size;
    int *kinds;
    Buffer **buffers;
};

struct Name {
    const char *start;
    size_t size;
};
struct Array {
    Type type;
    size_t size;
    void *data;
};
constexpr int kArrayAttribute = 1;
struct Attributes {
    size_t struct_size;
    Extension *extensions;
    int64_t size;
    int *kinds;
    Name **names;
    void **values;  // Array where the kind says so
};

struct CallFrame {
    size_t struct_size;
    Extension *extensions;
    const Api *api;
    void *context;
    int stage;
    Buffers arguments, results;
    Attributes attributes;
};

template <class T>
struct Span {
    const T *start = nullptr;
    size_t size = 0;
    const T &operator[](size_t i) const { return start[i]; }
};

// An attribute that is an array of this type; empty if there is none.
template <class T>
Span<T> attribute(const Attributes &all, const char *name, Type type) {
    for (int64_t i = 0; i < all.size; i++) {
        const Name &own = *all.names[i];
        if (all.kinds[i] != kArrayAttribute || own.size != std::strlen(name) || std::memcmp(own.start, name, own.size) != 0) continue;
        const auto &array = *static_cast<const Array *>(all.values[i]);
        if (array.type == type) return {static_cast<const T *>(array.data), array.size};
    }
    return {};
}

// What a handler returns to XLA: answers its question for the version, else does the work, which gives null or what is
// wrong with the call.
inline void *respond(void *call, const char *(*work)(const CallFrame &, ErrorCode &), const char *out_of_memory) {
    auto &frame = *static_cast<CallFrame *>(call);
    if (frame.extensions && frame.extensions->type == kMetadataExtension) {  // asked for the version, not called
        Metadata &metadata = *reinterpret_cast<MetadataExtension *>(frame.extensions)->metadata;
        metadata.version = {sizeof(Version), nullptr, kMajorVersion, kMinorVersion};
        metadata.traits = 0;
        return nullptr;
    }
    ErrorCode code = kResourceExhausted;
    const char *message;
    try {
        message = work(frame, code);
    } catch (const std::bad_alloc &) {
        code = kResourceExhausted;
        message = out_of_memory;
    }
    if (!message) return nullptr;
    NewError error{sizeof(NewError), nullptr, message, code};
    return frame.api->create_error(&error);
}

}  // namespace jaxgeom::xla
