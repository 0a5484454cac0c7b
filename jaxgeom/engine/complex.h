// What the recursion over cells writes down of a complex: vertices and edges, which cells share, and faces.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "buffer.h"

namespace jaxgeom {

struct Position { double x, y, w, e; };
struct Edge {
    int begin, end, layer, unit;
    int middle = -1, first = -1;  // the vertex that splits it, and the first of its pieces; the second one follows
    int left = -1, right = -1;    // the faces on its sides; of an edge that is split, the layer and the unit that did it
};
struct Step { int vertex, edge; };  // around a face: a vertex, and the edge from it on
struct Measure { double area, x, y; };

struct Complex {
    Buffer<Position> places;
    Buffer<Edge> edges;
    Buffer<Step> steps;
    Buffer<int> ends;          // of the steps of each face
    Buffer<uint64_t> active;   // units on each face, layer by layer in whole words
    Buffer<double> maps;       // of each face and output
    Buffer<Measure> measures;  // of each face
    Buffer<double> outputs;    // at each vertex, NaN until a face needs them
    Buffer<int> chords;        // of two halves that are built apart: each is followed by itself as the other half sees it
    Buffer<int> roots;         // what parts begin with, in the whole: vertices and edges in turn
    bool is_consistent = true;

    size_t num_faces() const { return ends.size(); }
    size_t num_steps() const { return ends.size() ? ends[ends.size() - 1] : 0; }
    void clear() {
        places.clear(), edges.clear(), steps.clear(), ends.clear(), active.clear(), maps.clear(), measures.clear(), outputs.clear(), chords.clear(), roots.clear();
        is_consistent = true;
    }
    size_t bytes() const {
        return places.bytes() + edges.bytes() + steps.bytes() + ends.bytes() + active.bytes() + maps.bytes() + measures.bytes() + outputs.bytes() + chords.bytes() + roots.bytes();
    }
};

struct Range { int begin, end; };
struct Part {  // of a complex, built by itself: a stretch of what its thread has written down
    Complex *complex = nullptr;
    Range places{0, 0}, edges{0, 0}, steps{0, 0}, faces{0, 0};
    int roots = 0, num_roots = 0;  // the vertices and edges that it begins with: where they stand, and how many of each
    int root_vertex(int own) const { return complex->roots[roots + 2 * (own - places.begin)]; }
    int root_edge(int own) const { return complex->roots[roots + 2 * (own - edges.begin) + 1]; }
};

constexpr size_t kHeld = size_t(1) << 24;  // bytes of a complex above which its memory is not held for the next one

// An empty complex, whose memory has mostly been used before: new memory takes longer than what is written into it.
class Loan {
  public:
    Loan() {
        std::unique_lock<std::mutex> lock(mutex(), std::try_to_lock);  // which a fork may have left locked
        if (lock.owns_lock() && !held().empty()) complex_ = std::move(held().back()), held().pop_back();
        if (!complex_) complex_.reset(new Complex);
    }
    Loan(const Loan &) = delete;
    Loan &operator=(const Loan &) = delete;
    ~Loan() {
        complex_->clear();
        if (complex_->bytes() > kHeld) return;
        std::unique_lock<std::mutex> lock(mutex(), std::try_to_lock);
        if (lock.owns_lock() && held().size() < held().capacity()) held().push_back(std::move(complex_));
    }
    Complex *get() const { return complex_.get(); }

  private:
    static constexpr size_t kMost = 8;
    std::unique_ptr<Complex> complex_;
    static std::mutex &mutex() {
        static std::mutex *one = new std::mutex;
        return *one;
    }
    static std::vector<std::unique_ptr<Complex>> &held() {
        static auto *all = [] {
            auto *made = new std::vector<std::unique_ptr<Complex>>;
            made->reserve(kMost);
            return made;
        }();
        return *all;
    }
};

}  // namespace jaxgeom
