// The complex of a network from its parts: what the cells on both sides of a chord between parts made of it, matched.
//
// Pre-activations are continuous, so that a chord is cut at the same points from both sides, in the same order; only
// their computed places differ by rounding.
#pragma once

#include "builder.h"

namespace jaxgeom {

class Joiner {
  public:
    Joiner(const Complex &whole, const std::vector<Part> &parts) : whole_(whole), parts_(parts), part_of_(whole.edges.size(), -1), root_of_(whole.edges.size(), -1) {
        int64_t vertices = static_cast<int64_t>(whole.x.size()), edges = 0;
        for (size_t k = 0; k < parts.size(); k++) {
            const Part &part = parts[k];
            const int64_t shared = static_cast<int64_t>(part.vertices.size());
            first_vertex_.push_back(vertices - shared), first_edge_.push_back(edges);
            vertices += static_cast<int64_t>(part.complex.x.size()) - shared, edges += static_cast<int64_t>(part.complex.edges.size());
            for (size_t i = 0; i < part.edges.size(); i++) part_of_[part.edges[i]] = static_cast<int>(k), root_of_[part.edges[i]] = static_cast<int>(i);
        }
        vertex_.resize(vertices), edge_.assign(edges, -1);
        for (int64_t i = 0; i < vertices; i++) vertex_[i] = i;
        for (const int chord : whole.chords) match(chord);
    }
    // The complex but for what only faces have; vertices and edges are those of the first part that has them.
    Complex join(int num_outputs) {
        Complex all;
        all.is_consistent = is_consistent_ && whole_.is_consistent;
        number_vertices(all, num_outputs);
        number_edges(all);
        for (size_t k = 0; k < parts_.size(); k++) append(static_cast<int>(k), all);
        return all;
    }

  private:
    struct Ends { std::vector<int64_t> vertices, edges; };  // between the pieces of a chord, and those pieces, from its begin on
    const Complex &whole_;
    const std::vector<Part> &parts_;
    std::vector<int> part_of_, root_of_;            // of each edge of the whole: the part that begins with it, and as which
    std::vector<int64_t> first_vertex_, first_edge_;  // of each part among those of all, behind those of the whole
    std::vector<int64_t> vertex_, edge_;            // the first one that is the same; later, its number
    bool is_consistent_ = true;

    int64_t vertex(int k, int own) const {
        const Part &part = parts_[k];
        return own < static_cast<int>(part.vertices.size()) ? part.vertices[own] : first_vertex_[k] + own;
    }
    int64_t same(int64_t v) {
        while (vertex_[v] != v) v = vertex_[v] = vertex_[vertex_[v]];
        return v;
    }
    void follow(int edge, Ends &ends) const {
        const Edge &at = whole_.edges[edge];
        if (at.middle < 0) return follow(part_of_[edge], root_of_[edge], ends);
        follow(at.first, ends);
        ends.vertices.push_back(at.middle);
        follow(at.second, ends);
    }
    void follow(int k, int edge, Ends &ends) const {
        if (k < 0) return;
        const Edge &at = parts_[k].complex.edges[edge];
        if (at.middle < 0) return ends.edges.push_back(first_edge_[k] + edge);
        follow(k, at.first, ends);
        ends.vertices.push_back(vertex(k, at.middle));
        follow(k, at.second, ends);
    }
    void match(int chord) {
        Ends one, other;
        follow(chord, one), follow(chord + 1, other);
        if (one.vertices.size() != other.vertices.size() || one.edges.size() != other.edges.size()) {
            is_consistent_ = false;
            return;
        }
        for (size_t i = 0; i < one.vertices.size(); i++) {
            const int64_t p = same(one.vertices[i]), q = same(other.vertices[i]);
            vertex_[std::max(p, q)] = std::min(p, q);
        }
        for (size_t i = 0; i < one.edges.size(); i++) edge_[std::max(one.edges[i], other.edges[i])] = std::min(one.edges[i], other.edges[i]);
    }
    void number_vertices(Complex &all, int num_outputs) {
        std::vector<int64_t> number(vertex_.size(), -1);
        const auto add = [&](int64_t v, const Complex &from, size_t own) {
            const int64_t first = same(v);
            if (first == v) {
                number[v] = static_cast<int64_t>(all.x.size());
                all.x.push_back(from.x[own]), all.y.push_back(from.y[own]), all.w.push_back(from.w[own]), all.e.push_back(from.e[own]);
                all.outputs.insert(all.outputs.end(), num_outputs, NAN);
            } else {
                number[v] = number[first];
            }
        };
        for (size_t i = 0; i < whole_.x.size(); i++) add(static_cast<int64_t>(i), whole_, i);
        for (size_t k = 0; k < parts_.size(); k++) {
            const Complex &part = parts_[k].complex;
            for (size_t i = parts_[k].vertices.size(); i < part.x.size(); i++) add(first_vertex_[k] + static_cast<int64_t>(i), part, i);
        }
        vertex_ = std::move(number);
    }
    void number_edges(Complex &all) {
        int64_t at = 0;
        for (size_t k = 0; k < parts_.size(); k++) {
            for (const Edge &edge : parts_[k].complex.edges) {
                int64_t &number = edge_[at++];
                if (edge.middle >= 0) continue;
                if (number >= 0) {
                    number = edge_[number];
                } else {
                    number = static_cast<int64_t>(all.edges.size());
                    const auto end = [&](int own) { return static_cast<int>(vertex_[vertex(static_cast<int>(k), own)]); };
                    all.edges.push_back({end(edge.begin), end(edge.end), edge.layer, edge.unit});
                }
            }
        }
    }
    void append(int k, Complex &all) {
        const Complex &part = parts_[k].complex;
        const int64_t first = static_cast<int64_t>(all.face_vertices.size());
        for (size_t face = 1; face < part.face_offsets.size(); face++) all.face_offsets.push_back(first + part.face_offsets[face]);
        for (const int own : part.face_vertices) all.face_vertices.push_back(static_cast<int>(vertex_[vertex(k, own)]));
        for (const int own : part.face_edges) all.face_edges.push_back(static_cast<int>(edge_[first_edge_[k] + own]));
        const size_t num = all.x.size() ? all.outputs.size() / all.x.size() : 0;
        for (size_t own = 0; own * num < part.outputs.size(); own++) {
            double *values = all.outputs.data() + num * vertex_[vertex(k, static_cast<int>(own))];
            if (num && std::isnan(values[0])) std::copy_n(part.outputs.data() + num * own, num, values);
        }
    }
};

inline Complex joined(const Complex &whole, const std::vector<Part> &parts, const Network &net) { return Joiner(whole, parts).join(net.layers[net.depth].out); }

}  // namespace jaxgeom
