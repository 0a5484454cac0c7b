// The arrays of a complex, in one block of memory, from what the recursion has written down of its parts.
#pragma once

#include <atomic>
#include <cmath>
#include <type_traits>

#include "join.h"
#include "network.h"
#include "planes.h"
#include "pool.h"

namespace jaxgeom {

struct Arrays {  // where they are: one after the other, each from a multiple of eight bytes on; see Cells of library.py
    double *vertices;
    uint8_t *is_ideal;
    int64_t *edges, *edge_faces, *edge_layer, *edge_unit, *face_offsets, *face_vertices, *face_edges;
    uint8_t *patterns;
    double *gradient, *intercept, *area, *centroid, *outputs;
};

class Writer {
  public:
    // Of all parts of a whole, whose vertices have numbers; or of one part, which is all.
    Writer(const Network &net, const Complex *whole, std::vector<Part> &parts, const Numbers *numbers)
        : net_(net), whole_(whole), parts_(parts), numbers_(numbers), units_(net.unit_offsets[net.depth]), num_outputs_(net.layers[net.depth].out) {
        for (int l = 0; l < net.depth; l++) words_ += (net.layers[l].out + 63) >> 6;
        for (Part &part : parts) {
            first_face_.push_back(out_.faces), first_step_.push_back(out_.corners);
            out_.faces += part.faces.end - part.faces.begin, out_.corners += part.steps.end - part.steps.begin;
            for (int own = part.edges.begin; own < part.edges.end; own++) {
                Edge &edge = part.complex->edges[own];
                if (edge.middle < 0 && edge.first != kTwin) edge.first = static_cast<int>(out_.edges++);
            }
        }
        if (numbers)
            for (const Numbers::Twins &pair : numbers->twins) at(pair.second).first = kTwin - at(pair.first).first;
        out_.vertices = numbers ? numbers->num_vertices : parts[0].places.end;
        out_.is_consistent = !numbers || (numbers->is_consistent && whole->is_consistent);
        for (const Part &part : parts) out_.is_consistent = out_.is_consistent && (!part.complex || part.complex->is_consistent);
        allocate();
    }
    CellArrays write(int threads) {
        for_all(static_cast<int64_t>(parts_.size()), threads, 1, false, [&](int64_t k) {
            if (!parts_[k].complex) return;
            write_vertices(static_cast<int>(k)), write_edges(static_cast<int>(k)), write_faces(static_cast<int>(k));
        });
        to_.face_offsets[out_.faces] = out_.corners;
        if (numbers_) write_shared();
        for (int64_t edge = 0; edge < out_.edges; edge++) {  // seen from the first vertex, some face is to the left
            int64_t *faces = to_.edge_faces + 2 * edge, *ends = to_.edges + 2 * edge;
            if (faces[0] < 0) std::swap(faces[0], faces[1]), std::swap(ends[0], ends[1]);
            if (faces[0] < 0) out_.is_consistent = false;
        }
        return std::move(out_);
    }

  private:
    const Network &net_;
    const Complex *whole_;
    std::vector<Part> &parts_;
    const Numbers *numbers_;
    const int64_t units_, num_outputs_;
    int64_t words_ = 0;
    std::vector<int64_t> first_face_, first_step_;  // of each part
    CellArrays out_;
    Arrays to_;

    Edge &at(const Numbers::End &end) const { return parts_[end.part].complex->edges[end.edge]; }
    int64_t vertex(int k, int own) const { return numbers_ ? (*numbers_)(k, own) : own; }
    void allocate() {
        const int64_t v = out_.vertices, e = out_.edges, f = out_.faces, c = out_.corners, o = num_outputs_;
        const auto place_all = [&](char *start) {  // or, without memory, how much it takes
            int64_t at = 0;
            const auto place = [&](auto *&array, int64_t n) {
                array = start ? reinterpret_cast<std::remove_reference_t<decltype(array)>>(start + at) : nullptr;
                at += (n * static_cast<int64_t>(sizeof(*array)) + 7) & -8;
            };
            place(to_.vertices, 2 * v), place(to_.is_ideal, v);
            place(to_.edges, 2 * e), place(to_.edge_faces, 2 * e), place(to_.edge_layer, e), place(to_.edge_unit, e);
            place(to_.face_offsets, f + 1), place(to_.face_vertices, c), place(to_.face_edges, c), place(to_.patterns, f * units_);
            place(to_.gradient, 2 * f * o), place(to_.intercept, f * o), place(to_.area, f), place(to_.centroid, 2 * f), place(to_.outputs, v * o);
            return at;
        };
        out_.bytes = place_all(nullptr);
        out_.memory.reset(Blocks::take(out_.bytes));
        place_all(out_.memory.get());
    }
    void write_vertex(int64_t number, const Position &place) {
        double *to = to_.vertices + 2 * number;
        to_.is_ideal[number] = place.w == 0;
        if (place.w == 0) {
            const double size = std::hypot(place.x, place.y);
            to[0] = place.x / size, to[1] = place.y / size;
        } else {
            to[0] = place.x * net_.unit / place.w, to[1] = place.y * net_.unit / place.w;
        }
    }
    const double *outputs_of(const Part &part, int own) const {
        const size_t begin = static_cast<size_t>(own) * num_outputs_;
        return begin < part.complex->outputs.size() ? part.complex->outputs.data() + begin : nullptr;
    }
    void write_vertices(int k) {
        const Part &part = parts_[k];
        const int *shared = numbers_ ? numbers_->shared[k].data() : nullptr, *end = numbers_ ? shared + numbers_->shared[k].size() : nullptr;
        for (int own = part.places.begin + part.num_roots; own < part.places.end; own++) {
            if (shared != end && *shared == own) { shared++; continue; }
            const int64_t number = vertex(k, own);
            write_vertex(number, part.complex->places[own]);
            if (const double *values = outputs_of(part, own)) std::copy_n(values, num_outputs_, to_.outputs + number * num_outputs_);
            else std::fill_n(to_.outputs + number * num_outputs_, num_outputs_, NAN);
        }
    }
    int64_t face(int k, int own) const { return own < 0 ? -1 : first_face_[k] + own - parts_[k].faces.begin; }
    void write_edges(int k) {
        const Part &part = parts_[k];
        for (int own = part.edges.begin; own < part.edges.end; own++) {
            const Edge &edge = part.complex->edges[own];
            if (edge.middle >= 0 || edge.first <= kTwin) continue;
            const int64_t number = edge.first;
            to_.edges[2 * number] = vertex(k, edge.begin), to_.edges[2 * number + 1] = vertex(k, edge.end);
            to_.edge_faces[2 * number] = face(k, edge.left), to_.edge_faces[2 * number + 1] = face(k, edge.right);
            to_.edge_layer[number] = edge.layer, to_.edge_unit[number] = edge.unit;
        }
    }
    void write_faces(int k) {
        const Part &part = parts_[k];
        const Complex &from = *part.complex;
        const int64_t num_steps = part.steps.end - part.steps.begin;
        int64_t *vertices = to_.face_vertices + first_step_[k], *edges = to_.face_edges + first_step_[k];
        for (int64_t i = 0; i < num_steps; i++) {
            const Step &step = from.steps[part.steps.begin + i];
            const int number = from.edges[step.edge].first;
            vertices[i] = vertex(k, step.vertex), edges[i] = number <= kTwin ? kTwin - number : number;
        }
        for (int own = part.faces.begin; own < part.faces.end; own++) {
            const int64_t number = face(k, own);
            to_.face_offsets[number] = first_step_[k] + (own > part.faces.begin ? from.ends[own - 1] - part.steps.begin : 0);
            const uint64_t *active = from.active.data() + own * words_;
            for (int l = 0; l < net_.depth; l++) {
                spread_bits(active, 0, net_.layers[l].out, to_.patterns + number * units_ + net_.unit_offsets[l]);
                active += (net_.layers[l].out + 63) >> 6;
            }
            const double *map = from.maps.data() + 3 * num_outputs_ * own;
            for (int64_t j = number * num_outputs_; j < (number + 1) * num_outputs_; j++, map += 3) to_.gradient[2 * j] = map[0], to_.gradient[2 * j + 1] = map[1], to_.intercept[j] = map[2];
            const Measure &measure = from.measures[own];
            to_.area[number] = measure.area, to_.centroid[2 * number] = measure.x, to_.centroid[2 * number + 1] = measure.y;
        }
    }
    // What several parts have: the vertices of the whole, and all on chords between parts, with those chords.
    void write_shared() {
        const int *shared = numbers_->shared_of_whole.data(), *end = shared + numbers_->shared_of_whole.size();
        for (int v = 0; v < static_cast<int>(whole_->places.size()); v++) {
            if (shared != end && *shared == v) { shared++; continue; }
            const int64_t number = numbers_->of_whole(v);
            write_vertex(number, whole_->places[v]);
            std::fill_n(to_.outputs + number * num_outputs_, num_outputs_, NAN);
        }
        for (int k = 0; k < static_cast<int>(parts_.size()); k++) {
            const Part &part = parts_[k];
            if (!part.complex || num_outputs_ == 0) continue;
            const auto copy = [&](int own) {
                double *to = to_.outputs + vertex(k, own) * num_outputs_;
                const double *values = outputs_of(part, own);
                if (values && std::isnan(to[0])) std::copy_n(values, num_outputs_, to);
            };
            for (int i = 0; i < part.num_roots; i++) copy(part.places.begin + i);
            for (const int own : numbers_->shared[k]) copy(own);
        }
        for (const Numbers::Twins &pair : numbers_->twins) {
            const Edge &other = at(pair.second);
            int64_t *faces = to_.edge_faces + 2 * at(pair.first).first;
            for (const bool is_right : {false, true}) {
                const int64_t own = face(pair.second.part, is_right ? other.right : other.left);
                if (own < 0) continue;
                if (faces[is_right] >= 0) out_.is_consistent = false;
                faces[is_right] = own;
            }
        }
    }
};

}  // namespace jaxgeom
