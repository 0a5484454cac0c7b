// Runs of training without Python, for the sanitizers (tests/test_engine_sanitizers.py writes the calls and compiles this
// with training.cc and random.cc): `driver CALLS RESULTS`.
//
// Each call is made with one thread and with three, whose results must have the same bits, and from arrays of its very own
// size, so that a number read or written beyond one is seen. The results are written for the test to compare.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "xla.h"

extern "C" void *jaxgeom_train_handler(void *);
extern "C" void *jaxgeom_words_handler(void *);

namespace {

namespace xla = jaxgeom::xla;

std::ifstream in;
template <class T> T read() {
    T value;
    in.read(reinterpret_cast<char *>(&value), sizeof value);
    return value;
}
template <class T> std::unique_ptr<T[]> read_array(size_t num) {
    std::unique_ptr<T[]> array(new T[num]);
    in.read(reinterpret_cast<char *>(array.get()), static_cast<std::streamsize>(num * sizeof(T)));
    return array;
}

struct Array {
    std::vector<int64_t> shape;
    int64_t bytes = 0;
    char *data = nullptr;
    xla::Buffer buffer{};

    explicit Array(bool is_given) {
        const auto rank = read<int64_t>();
        for (int64_t i = 0; i < rank; i++) shape.push_back(read<int64_t>());
        bytes = read<int64_t>();
        data = static_cast<char *>(std::malloc(static_cast<size_t>(bytes)));
        if (is_given) in.read(data, bytes);
    }
    Array(const Array &) = delete;
    ~Array() { std::free(data); }
    xla::Buffer *as_buffer() {
        buffer = {sizeof(xla::Buffer), nullptr, xla::kFloat32, data, static_cast<int64_t>(shape.size()), shape.data()};
        return &buffer;
    }
};

struct Attribute {
    std::string name;
    std::unique_ptr<char[]> data;
    xla::Array array{};
    xla::Name own{};
};

xla::Error *fail(xla::NewError *error) {
    std::printf("the call failed: %s\n", error->message);
    return reinterpret_cast<xla::Error *>(error);
}

xla::Buffers buffers_of(const std::vector<xla::Buffer *> &all) {
    return {sizeof(xla::Buffers), nullptr, static_cast<int64_t>(all.size()), nullptr, const_cast<xla::Buffer **>(all.data())};
}

}  // namespace

int main(int, char **arguments) {
    in.open(arguments[1], std::ios::binary);
    std::ofstream out(arguments[2], std::ios::binary);
    xla::Api api{};
    api.create_error = fail;
    int failures = 0;
    const auto num_calls = read<int64_t>();
    for (int64_t call = 0; call < num_calls; call++) {
        const bool is_training = read<int64_t>();
        const auto layout = read<int64_t>();  // of the results, which one says how vectors were filled; -1 for none
        std::vector<std::unique_ptr<Array>> given, results;
        std::vector<Attribute> attributes(static_cast<size_t>(read<int64_t>()));
        for (Attribute &each : attributes) {
            const auto length = static_cast<size_t>(read<int64_t>());
            const auto name = read_array<char>(length);
            each.name.assign(name.get(), length);
            const auto type = static_cast<xla::Type>(read<int64_t>());
            const auto num = static_cast<size_t>(read<int64_t>());
            each.data = read_array<char>(num * (type == xla::kInt32 ? 4 : 8));
            each.array = {type, num, each.data.get()};
        }
        for (Attribute &each : attributes) each.own = {each.name.data(), each.name.size()};
        for (auto num = read<int64_t>(); num > 0; num--) given.push_back(std::make_unique<Array>(true));
        for (auto num = read<int64_t>(); num > 0; num--) results.push_back(std::make_unique<Array>(false));
        std::vector<xla::Buffer *> own_given, own_results;
        for (const auto &each : given) own_given.push_back(each->as_buffer());
        for (const auto &each : results) own_results.push_back(each->as_buffer());
        std::vector<int> kinds(attributes.size(), xla::kArrayAttribute);
        std::vector<xla::Name *> names;
        std::vector<void *> values;
        for (Attribute &each : attributes) names.push_back(&each.own), values.push_back(&each.array);
        std::string first;
        for (const int64_t threads : {1, 3}) {
            for (Attribute &each : attributes)
                if (is_training && each.name == "sizes") std::memcpy(each.data.get() + (each.array.size - 1) * sizeof threads, &threads, sizeof threads);
            for (const auto &each : results) std::memset(each->data, 0x55, static_cast<size_t>(each->bytes));
            xla::CallFrame frame{};
            frame.struct_size = sizeof frame, frame.api = &api;
            frame.arguments = buffers_of(own_given), frame.results = buffers_of(own_results);
            frame.attributes = {sizeof(xla::Attributes), nullptr, static_cast<int64_t>(attributes.size()), kinds.data(), names.data(), values.data()};
            if ((is_training ? jaxgeom_train_handler : jaxgeom_words_handler)(&frame)) failures++;
            std::string found;
            for (size_t i = 0; i < results.size(); i++) {
                // How vectors were filled depends on the threads, and nothing else does.
                if (threads > 1 && static_cast<int64_t>(i) == layout) found.append(first, found.size(), static_cast<size_t>(results[i]->bytes));
                else found.append(results[i]->data, static_cast<size_t>(results[i]->bytes));
            }
            if (threads == 1) first = found, out.write(found.data(), static_cast<std::streamsize>(found.size()));
            else if (found != first) std::printf("call %d: other bits from three threads\n", static_cast<int>(call)), failures++;
        }
    }
    if (!in) std::printf("the calls end too early\n"), failures++;
    return failures;
}
