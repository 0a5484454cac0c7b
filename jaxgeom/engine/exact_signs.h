// Signs of units at points in exact arithmetic, and the functions of units on cells without rounding.
//
// The sign of a unit at a point is the same seen from all cells around the point, since pre-activations are continuous.
// Exact signs therefore belong to points: the network is evaluated there in exact arithmetic, once.
#pragma once

#include "chain.h"

namespace jaxgeom {

struct Row {  // a unit's function on a cell, without rounding
    double a, b, c;
    bool is_plain;  // whether these are it
    bool is_built;  // whether the next ones are
    ExactVector exact;
};

class Rows {  // exact rows of cells, used again and again
  public:
    Row *take() {
        if (free_.empty()) {
            all_.emplace_back(new Row);
            return all_.back().get();
        }
        Row *row = free_.back();
        free_.pop_back();
        return row;
    }
    Row **take(int l, int n) {  // one place for each unit of a layer
        if (static_cast<int>(free_places_.size()) <= l) free_places_.resize(l + 1);
        if (free_places_[l].empty()) {
            all_places_.emplace_back(new Row *[n]());
            return all_places_.back().get();
        }
        Row **places = free_places_[l].back();
        free_places_[l].pop_back();
        return places;
    }
    void give_back(int l, int n, Row **places) {
        for (int i = 0; i < n; i++) {
            if (places[i]) free_.push_back(places[i]);
            places[i] = nullptr;
        }
        free_places_[l].push_back(places);
    }

  private:
    std::vector<std::unique_ptr<Row>> all_;
    std::vector<Row *> free_;
    std::vector<std::unique_ptr<Row *[]>> all_places_;
    std::vector<std::vector<Row **>> free_places_;
};

class ExactSigns {
  public:
    // Whether cells have outputs, too.
    ExactSigns(const Network &net, const Domain &domain, bool has_outputs)
        : net(net), domain(domain), num_units(net.unit_offsets[net.depth]), num_kept(net.unit_offsets[has_outputs ? net.depth : std::max(net.depth - 1, 0)]) {}

    // The function of a unit on a cell without rounding: as doubles where these hold it, which they do where weights are
    // short (as of lattices, minima and maxima), and else exactly.
    Row &row(const Entry *entry, int unit) {
        const Layer &layer = net.layers[entry->layer];
        if (!entry->exact) entry->exact = rows.take(entry->layer, layer.out);
        if (entry->exact[unit]) return *entry->exact[unit];
        Row *row = rows.take();
        row->a = row->b = 0, row->c = layer.offsets[unit], row->is_plain = true, row->is_built = false;
        if (entry->layer == 0) {
            row->a = layer.weights[unit], row->b = layer.weights[layer.out + unit];
            row->is_plain = is_moderate(row->a) && is_moderate(row->b) && is_moderate(row->c);
            if (!row->is_plain) row->exact = {Exact(row->a), Exact(row->b), Exact(row->c)}, row->is_built = true;
        } else {
            complete(net, *entry);
            const Layer &below = net.layers[entry->layer - 1];
            const auto &column = sparse.column(net, entry->layer, unit);
            for (const auto &[i, weight] : column) {
                const double factor = factor_below(*entry, below, i);
                if (factor == 0) continue;
                const Row &other = this->row(entry->before, i);
                row->is_plain = row->is_plain && other.is_plain && factor == 1 && is_power_of_two(weight) && add_plainly(row->a, weight * other.a) &&
                                add_plainly(row->b, weight * other.b) && add_plainly(row->c, weight * other.c);
                if (!row->is_plain) break;
            }
            if (!row->is_plain) {
                row->exact = {Exact(), Exact(), Exact(layer.offsets[unit])};
                for (const auto &[i, weight] : column) {
                    const double slope = factor_below(*entry, below, i);
                    if (slope == 0) continue;
                    const Exact factor = slope == 1 ? Exact(weight) : Exact(weight) * Exact(slope);
                    const ExactVector &other = exact_row(entry->before, i);
                    row->exact.x += factor * other.x, row->exact.y += factor * other.y, row->exact.w += factor * other.w;
                }
                row->is_built = true;
            }
        }
        entry->exact[unit] = row;
        return *row;
    }
    const ExactVector &exact_row(const Entry *entry, int unit) {
        Row &found = row(entry, unit);
        if (!found.is_built) found.exact = {Exact(found.a), Exact(found.b), Exact(found.c)}, found.is_built = true;
        return found.exact;
    }
    bool is_zero_row(const Entry *entry, int unit) {
        const Row &found = row(entry, unit);
        return found.is_plain ? found.a == 0 && found.b == 0 && found.c == 0 : is_zero(found.exact);
    }
    // Whether nothing is added up: all weights, or the units below them, are zero by their structure.
    bool has_no_terms(const Entry &entry, int unit) {
        const Layer &layer = net.layers[entry.layer];
        if (layer.offsets[unit] != 0) return false;
        if (entry.layer == 0) return layer.weights[unit] == 0 && layer.weights[layer.out + unit] == 0;
        const Layer &below = net.layers[entry.layer - 1];
        for (const auto &[i, weight] : sparse.column(net, entry.layer, unit)) {
            if (factor_below(entry, below, i) == 0) continue;
            const double *rows = entry.before->rows + i;
            const bool may_be_zero = rows[0] == 0 && rows[below.stride] == 0 && rows[2 * below.stride] == 0;
            if (!may_be_zero || !has_no_terms(*entry.before, i)) return false;
        }
        return true;
    }
    static bool is_power_of_two(double weight) {
        int exponent;
        return std::fabs(std::frexp(weight, &exponent)) == 0.5 && exponent > -500 && exponent < 500;
    }
    static bool add_plainly(double &sum, double term) {  // false if that rounds
        const double total = sum + term, part = total - sum, error = (sum - (total - part)) + (term - part);
        sum = total;
        return error == 0 && is_moderate(total) && is_moderate(term);
    }
    static bool is_moderate(double x) { return x == 0 || (std::fabs(x) > 1e-150 && std::fabs(x) < 1e150); }
    ExactVector corner(int index) const {
        const Corner &c = domain.corners[index];
        return {Exact(c.x), Exact(c.y), Exact(c.w)};
    }
    ExactVector exact_line(const Line *line) {
        return line->entry ? exact_row(line->entry, line->unit) : cross(corner(line->from), corner(line->to));
    }
    Knowledge &knowledge(Point *point) {
        if (point->known) return *point->known;
        auto *known = new Knowledge;
        point->known = known;
        if (point->corner >= 0) {
            known->at = corner(point->corner);
        } else {
            known->at = cross(exact_line(point->first), exact_line(point->second));
            bool is_opposite = known->at.w.sign() < 0;
            if (known->at.w.is_zero()) {  // on a side at infinity, between two directions less than 180 degrees apart
                const Line *side = point->first->entry ? point->second : point->first;
                const ExactVector from = corner(side->from), to = corner(side->to);
                is_opposite = (known->at.x * (from.x + to.x) + known->at.y * (from.y + to.y)).sign() < 0;
            }
            if (is_opposite) known->at.x.negate(), known->at.y.negate(), known->at.w.negate();
        }
        known->signs.assign(num_units, 2);
        known->activations.resize(num_kept);
        return *known;
    }
    Exact pre_activation(Knowledge &known, int l, int unit) {
        const Layer &layer = net.layers[l];
        Exact sum = Exact(layer.offsets[unit]) * known.at.w;
        if (l == 0) {
            return sum + Exact(layer.weights[unit]) * known.at.x + Exact(layer.weights[layer.out + unit]) * known.at.y;
        }
        for (const auto &[i, weight] : sparse.column(net, l, unit)) {
            const Exact &value = activation(known, l - 1, i);
            if (!value.is_zero()) sum += Exact(weight) * value;
        }
        return sum;
    }
    const Exact &activation(Knowledge &known, int l, int unit) {
        std::unique_ptr<Exact> &place = known.activations[net.unit_offsets[l] + unit];
        if (!place) {
            const double slope = net.layers[l].slope[unit];
            int8_t &sign = known.signs[net.unit_offsets[l] + unit];
            if (sign == 0 || (sign < 0 && slope == 0)) {
                place.reset(new Exact);
            } else {
                place.reset(new Exact(pre_activation(known, l, unit)));
                sign = static_cast<int8_t>(place->sign());
                if (sign < 0 && slope != 1) *place = slope == 0 ? Exact() : *place * Exact(slope);
            }
        }
        return *place;
    }
    // Two ways to the same sign: through the network at the point, which pays where many units are zero there, or by the
    // unit's own function on the cell, which pays where weights are few.
    int sign(const Entry &entry, int unit, Point *point) {
        const int l = entry.layer;
        Knowledge &known = knowledge(point);
        int8_t &found = known.signs[net.unit_offsets[l] + unit];
        if (found == 2) {
            if (net.is_sparse || net.has_runs) found = static_cast<int8_t>(dot(exact_row(&entry, unit), known.at).sign());
            else if (l + 1 < net.depth) activation(known, l, unit);
            if (found == 2) found = static_cast<int8_t>(pre_activation(known, l, unit).sign());
        }
        return found;
    }
    void forget(const Entry &entry) {
        if (entry.exact) rows.give_back(entry.layer, net.layers[entry.layer].out, entry.exact);
        if (entry.chain) {
            for (const Entry &below : entry.chain->entries) forget(below);
            delete entry.chain;
        }
    }

  private:
    const Network &net;
    const Domain &domain;
    const int num_units, num_kept;  // hidden units, and those whose activations at a point are kept
    Sparse sparse{};
    Rows rows{};
};

}  // namespace jaxgeom
