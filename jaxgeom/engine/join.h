// The numbers that vertices of a complex's parts get in the whole, and which of their edges are one: what the cells on both
// sides of a chord between parts made of it, matched.
//
// Pre-activations are continuous, so that a chord is cut at the same points from both sides, in the same order; only
// their computed places differ by rounding.
#pragma once

#include <algorithm>

#include "complex.h"

namespace jaxgeom {

constexpr int kTwin = -2;  // stands in place of the number of an edge that an earlier part has, too; less than it, once that is known

class Numbers {  // of the vertices of parts: those of the whole first, then what is new in each part
  public:
    Numbers(const Complex &whole, std::vector<Part> &parts) : whole_(whole), parts_(parts), part_of_(whole.edges.size(), -1), root_of_(whole.edges.size(), -1) {
        int64_t vertices = static_cast<int64_t>(whole.places.size());
        for (size_t k = 0; k < parts.size(); k++) {
            const Part &part = parts[k];
            first_.push_back(vertices - part.num_roots);
            vertices += part.places.end - part.places.begin - part.num_roots;
            for (int own = part.edges.begin; own < part.edges.begin + part.num_roots; own++) part_of_[part.root_edge(own)] = static_cast<int>(k), root_of_[part.root_edge(own)] = own;
        }
        number_.resize(vertices);
        for (int64_t i = 0; i < vertices; i++) number_[i] = static_cast<int>(i);
        for (size_t i = 0; i < whole.chords.size(); i++) match(whole.chords[i]);
        number_all();
    }
    int64_t num_vertices = 0;
    bool is_consistent = true;
    struct End { int part, edge; };
    struct Twins { End first, second; };  // pieces of a chord, which are one edge
    std::vector<Twins> twins;
    // Vertices that are earlier ones, too, ascending: of the whole, and of each part, but for those that it begins with.
    std::vector<int> shared_of_whole;
    std::vector<std::vector<int>> shared;

    // That of a part's vertex.
    int operator()(int k, int own) const { return number_[place_of(k, own)]; }
    int of_whole(int vertex) const { return number_[vertex]; }

  private:
    struct Ends { std::vector<int64_t> vertices; std::vector<End> edges; };  // between the pieces of a chord, and those pieces, from its begin on
    const Complex &whole_;
    const std::vector<Part> &parts_;
    std::vector<int> part_of_, root_of_;  // of each edge of the whole: the part that begins with it, and as which
    std::vector<int64_t> first_;          // of each part: where its vertices begin among all
    std::vector<int> number_;             // the first vertex that is the same; in the end, its number

    int64_t place_of(int k, int own) const {
        const Part &part = parts_[k];
        const int at = own - part.places.begin;
        return at < part.num_roots ? part.root_vertex(own) : first_[k] + at;
    }
    int same(int v) {
        while (number_[v] != v) v = number_[v] = number_[number_[v]];
        return v;
    }
    void follow(int edge, Ends &ends) const {
        const Edge &at = whole_.edges[edge];
        if (at.middle < 0) return follow(part_of_[edge], root_of_[edge], ends);
        follow(at.first, ends);
        ends.vertices.push_back(at.middle);
        follow(at.first + 1, ends);
    }
    void follow(int k, int edge, Ends &ends) const {
        if (k < 0) return;
        const Edge &at = parts_[k].complex->edges[edge];
        if (at.middle < 0) return ends.edges.push_back({k, edge});
        follow(k, at.first, ends);
        ends.vertices.push_back(place_of(k, at.middle));
        follow(k, at.first + 1, ends);
    }
    void match(int chord) {
        Ends one, other;
        follow(chord, one), follow(chord + 1, other);
        if (one.vertices.size() != other.vertices.size() || one.edges.size() != other.edges.size()) {
            is_consistent = false;
            return;
        }
        for (size_t i = 0; i < one.vertices.size(); i++) {
            const int p = same(static_cast<int>(one.vertices[i])), q = same(static_cast<int>(other.vertices[i]));
            number_[std::max(p, q)] = std::min(p, q);
        }
        for (size_t i = 0; i < one.edges.size(); i++) {
            End p = one.edges[i], q = other.edges[i];
            if (q.part < p.part) std::swap(p, q);
            twins.push_back({p, q});
            parts_[q.part].complex->edges[q.edge].first = kTwin;
        }
    }
    void number_all() {
        int at = 0, count = 0;
        const auto number = [&] {  // earlier ones have their numbers
            const bool is_new = number_[at] == at;
            number_[at] = is_new ? count++ : number_[number_[at]];
            at++;
            return is_new;
        };
        for (size_t i = 0; i < whole_.places.size(); i++)
            if (!number()) shared_of_whole.push_back(static_cast<int>(i));
        shared.resize(parts_.size());
        for (size_t k = 0; k < parts_.size(); k++) {
            const Part &part = parts_[k];
            for (int own = part.places.begin + part.num_roots; own < part.places.end; own++)
                if (!number()) shared[k].push_back(own);
        }
        num_vertices = count;
    }
};

}  // namespace jaxgeom
