"""The oracle itself, against published vectors, a second generator and second derivations."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.oracles import naive

relaxed = settings(deadline=None, max_examples=80)

K_MAX = 6
supports_and_k = st.integers(1, K_MAX).flatmap(
    lambda k: st.tuples(st.lists(st.sets(st.integers(0, k - 1)), max_size=8), st.just(k))
)
words = st.integers(0, 2**32 - 1)


# --- draws -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "counter, key, expected",
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((2**32 - 1,) * 4, (2**32 - 1,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_published_random123_vectors(counter, key, expected):
    assert naive.philox4x32(counter, key) == expected


@given(st.tuples(words, words, words, words), st.tuples(words, words))
@relaxed
def test_philox_agrees_with_randomgen(counter, key):
    randomgen = pytest.importorskip("randomgen")
    # randomgen increments its 128-bit counter before it makes a block.
    number = sum(c << (32 * i) for i, c in enumerate(counter))
    generator = randomgen.Philox(counter=(number - 1) % 2**128, key=key[0] | key[1] << 32, number=4, width=32)
    assert naive.philox4x32(counter, key) == tuple(int(x) for x in generator.random_raw(4))


def test_words_follow_the_frozen_layout():
    seed, realization = 0x0123456789ABCDEF, 0xFEDCBA9876543210
    for index in (0, 1, 2, 3, 4, 7, 41):
        block = naive.philox4x32((0x76543210, 0xFEDCBA98, index // 4, 5), (0x89ABCDEF, 0x01234567))
        assert naive.word(seed, realization, 5, index) == block[index % 4]


def test_no_part_of_the_address_of_a_word_is_ignored():
    base = (3, 5, 0, 0)
    changed = [(4, 5, 0, 0), (3 + 2**32, 5, 0, 0), (3, 6, 0, 0), (3, 5 + 2**32, 0, 0), (3, 5, 1, 0), (3, 5, 0, 1), (3, 5, 0, 4)]
    assert len({naive.word(*a) for a in [base, *changed]}) == 1 + len(changed)


def test_thresholds_and_cells_by_hand():
    limits = naive.thresholds([0.25, 0.5, 0.25])
    assert limits == [2**30, 3 * 2**30, 2**32]
    at = [0, 2**30 - 1, 2**30, 3 * 2**30 - 1, 3 * 2**30, 2**32 - 1]
    assert [naive.cell(w, limits) for w in at] == [0, 0, 1, 1, 2, 2]


def test_a_cell_of_probability_zero_is_never_hit_unless_it_is_the_last():
    limits = naive.thresholds([0.0, 0.5, 0.0, 0.5])
    assert {naive.cell(w, limits) for w in (0, 2**31 - 1, 2**31, 2**32 - 1)} == {1, 3}


@given(st.lists(st.integers(0, 100), min_size=1, max_size=9).filter(any), words)
@relaxed
def test_every_word_falls_into_exactly_one_cell(weights, w):
    limits = naive.thresholds([x / sum(weights) for x in weights])
    assert limits == sorted(limits)
    assert limits[-1] == 2**32
    i = naive.cell(w, limits)
    assert ([0, *limits])[i] <= w < limits[i]


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.integers(1, 40))
@relaxed
def test_permutation_holds_every_worker_once(seed, realization, n):
    assert sorted(naive.permutation(seed, realization, n)) == list(range(n))


def test_permutation_takes_word_i_for_place_i():
    seed, realization = 11, 2**33 + 1
    order = [0, 1, 2]
    j = (naive.word(seed, realization, 1, 2) * 3) >> 32
    order[2], order[j] = order[j], order[2]
    j = (naive.word(seed, realization, 1, 1) * 2) >> 32
    order[1], order[j] = order[j], order[1]
    assert naive.permutation(seed, realization, 3) == order


def _within_four_standard_errors(counts, expected_share):
    """Binomial standard error of every cell; the seed is fixed, so this is no matter of luck from run to run."""
    n = sum(counts)
    return all(abs(c - n * expected_share) <= 4 * (n * expected_share * (1 - expected_share)) ** 0.5 for c in counts)


def test_permutations_are_uniform():
    drawn = [tuple(naive.permutation(1, r, 3)) for r in range(3000)]
    assert _within_four_standard_errors([drawn.count(p) for p in itertools.permutations(range(3))], 1 / 6)


def test_lt_subsets_are_uniform():
    drawn = [frozenset(naive.lt_subset(1, r, 2, 2, 4)) for r in range(1500)]
    counts = [drawn.count(frozenset(s)) for s in itertools.combinations(range(4), 2)]
    assert sum(counts) == 1500
    assert _within_four_standard_errors(counts, 1 / 6)


@given(
    st.integers(0, 2**64 - 1), st.integers(0, 30), st.integers(1, 12).flatmap(lambda k: st.tuples(st.integers(1, k), st.just(k)))
)
@relaxed
def test_an_lt_subset_has_its_degree(seed, packet, degree_k):
    degree, k = degree_k
    chosen = naive.lt_subset(seed, 0, packet, degree, k)
    assert len(chosen) == degree
    assert chosen <= set(range(k))


def test_packets_own_as_many_bits_as_their_coefficients_take():
    # K = 9: packet 3 begins at bit 27 of block 0 over GF(2), byte 27 (byte 11 of block 1) over GF(256), word 27 (block 6).
    blocks = [sum(w << 32 * i for i, w in enumerate(naive.philox4x32((4, 0, b, 2), (7, 0)))) for b in range(9)]
    assert [naive.coefficient(7, 4, 3, kk, 9, "gf2") for kk in range(9)] == [(blocks[0] >> 27 + kk) & 1 for kk in range(9)]
    expected = [(blocks[1] | blocks[2] << 128) >> 8 * (11 + kk) & 255 for kk in range(9)]
    assert [naive.coefficient(7, 4, 3, kk, 9, "gf256") for kk in range(9)] == expected
    words = [blocks[i // 4] >> 32 * (i % 4) & naive.M32 for i in range(27, 36)]
    assert [naive.coefficient(7, 4, 3, kk, 9, "generic") for kk in range(9)] == [1 + (w * (2**31 - 2) >> 32) for w in words]


def test_supports_of_many_sub_products_are_drawn_a_word_a_member():
    # K = 13: whole blocks of 16 words a packet, of which a packet of degree 2 takes two; the second may hit the first.
    hits = 0
    for r in range(400):
        first, second = (naive.word(1, r, 3, 5 * 16 + i) * n >> 32 for i, n in ((0, 12), (1, 13)))
        assert naive.lt_subset(1, r, 5, 2, 13) == {first, 12 if second == first else second}
        hits += second == first
    assert 0 < hits < 100
    counts = [sum(i in naive.lt_subset(2, r, 0, 3, 13) for r in range(1300)) for i in range(13)]
    assert sum(counts) == 3900
    assert all(abs(c - 300) < 4 * (1300 * 3 / 13 * 10 / 13) ** 0.5 for c in counts)


def test_generic_coefficients_are_nonzero_modulo_p(monkeypatch):
    for w, expected in [(0, 1), (2**32 - 1, naive.P - 1)]:
        monkeypatch.setattr(naive, "word", lambda *_, w=w: w)
        assert naive.coefficient(0, 0, 0, 0, 1, "generic") == expected


# --- decoding --------------------------------------------------------------------------------------------------------


HAND_MADE = [
    # supports, K, decoded for generic coefficients, decoded by peeling
    ([], 2, set(), set()),
    ([set()], 1, set(), set()),
    ([{0}], 2, {0}, {0}),
    ([{0}, {0}], 2, {0}, {0}),
    ([{0, 1}], 2, set(), set()),
    ([{0, 1}, {0, 1}], 2, {0, 1}, set()),
    ([{0}, {0, 1}], 2, {0, 1}, {0, 1}),
    ([{0}, {0, 1}, {1, 2}], 3, {0, 1, 2}, {0, 1, 2}),
    ([{0, 1}, {0, 1}, {1, 2, 3}], 4, {0, 1}, set()),
    ([{0, 1, 2}, {0, 1, 2}, {2}], 4, {0, 1, 2}, {2}),
    ([{0, 1}, {1, 2}, {0, 2}], 3, {0, 1, 2}, set()),
    ([{0, 1}, {2, 3}, {0, 1, 2, 3}], 4, set(), set()),
]


@pytest.mark.parametrize("supports, k, decoded, peeled", HAND_MADE)
def test_hand_made_supports(supports, k, decoded, peeled):
    assert naive.match_decoded(supports, k) == decoded
    assert naive.peel_decoded(supports, k) == peeled


@pytest.mark.parametrize("n1, n2, n3", list(itertools.product(range(3), range(4), range(4))))
def test_matching_gives_the_expanding_window_recursion(n1, n2, n3):
    # docs/mathematics.md §3: R_l = min(R_(l-1) + n_l, K_l); here k = (1, 2, 1).
    sizes, reached, best = (1, 3, 4), 0, 0
    for n, cumulative in zip((n1, n2, n3), sizes, strict=True):
        reached = min(reached + n, cumulative)
        best = cumulative if reached == cumulative else best
    supports = [range(1)] * n1 + [range(3)] * n2 + [range(4)] * n3
    assert naive.match_decoded(supports, 4) == set(range(best))


@given(supports_and_k)
@relaxed
def test_matching_size_is_what_hall_says(instance):
    supports, _ = instance
    subsets = itertools.chain.from_iterable(itertools.combinations(supports, r) for r in range(len(supports) + 1))
    assert naive.matching_size(supports) == min(len(set().union(*s)) + len(supports) - len(s) for s in subsets)


@given(supports_and_k, st.integers(0, 2**32))
@relaxed
@example(([{0, 1}, {1, 2}, {0, 2}], 3), 1)
def test_matching_is_elimination_with_random_coefficients(instance, seed):
    # Fails by chance with probability of order K/p, some 1e-8 per example.
    supports, k = instance
    draw = random.Random(seed)
    rows = [[draw.randrange(1, naive.P) if kk in s else 0 for kk in range(k)] for s in supports]
    assert naive.match_decoded(supports, k) == naive.decoded_by_rank_mod_p(rows, k)


@given(supports_and_k, st.randoms(use_true_random=False))
@relaxed
def test_decoding_does_not_depend_on_the_order_of_packets(instance, draw):
    supports, k = instance
    shuffled = list(supports)
    draw.shuffle(shuffled)
    assert naive.match_decoded(shuffled, k) == naive.match_decoded(supports, k)
    assert naive.peel_decoded(shuffled, k) == naive.peel_decoded(supports, k)


@given(supports_and_k)
@relaxed
def test_peeling_decodes_a_subset_of_matching(instance):
    supports, k = instance
    assert naive.peel_decoded(supports, k) <= naive.match_decoded(supports, k)


@given(st.integers(1, K_MAX).flatmap(lambda k: st.tuples(st.lists(st.integers(0, k - 1), max_size=8), st.just(k))))
@relaxed
def test_every_decoder_decodes_just_what_arrives_at_degree_one(instance):
    members, k = instance
    supports = [{m} for m in members]
    rows = [[int(kk == m) for kk in range(k)] for m in members]
    assert naive.peel_decoded(supports, k) == naive.match_decoded(supports, k) == set(members)
    for decoder in (
        naive.decoded_by_rank_mod_p,
        naive.decoded_by_rank_gf2,
        naive.decoded_by_rank_gf256,
        naive.decoded_by_rank_fractions,
    ):
        assert decoder(rows, k) == set(members)


def integer_rows(low, high):
    return st.integers(1, 5).flatmap(
        lambda k: st.tuples(st.lists(st.lists(st.integers(low, high), min_size=k, max_size=k), max_size=6), st.just(k))
    )


@given(integer_rows(-9, 9))
@relaxed
def test_small_integers_decode_alike_modulo_p_and_over_the_rationals(instance):
    # A 5×5 minor of entries up to 9 is at most (9√5)^5 < 4e6 < p (Hadamard), so no rank can drop modulo p.
    rows, k = instance
    assert naive.decoded_by_rank_mod_p(rows, k) == naive.decoded_by_rank_fractions(rows, k)


@given(integer_rows(0, 1))
@relaxed
def test_gf2_decodes_the_unit_rows_among_all_sums(instance):
    rows, k = instance
    span = set()
    for subset in itertools.chain.from_iterable(itertools.combinations(rows, r) for r in range(len(rows) + 1)):
        span.add(tuple(sum(column) % 2 for column in zip(*subset, strict=True)) if subset else (0,) * k)
    assert naive.decoded_by_rank_gf2(rows, k) == {kk for kk in range(k) if tuple(int(c == kk) for c in range(k)) in span}
    assert naive.decoded_by_rank_gf256(rows, k) == naive.decoded_by_rank_gf2(rows, k)  # a rank is the same in a larger field


def test_the_triangle_tells_gf2_from_the_rationals():
    triangle = [[1, 1, 0], [0, 1, 1], [1, 0, 1]]
    assert naive.decoded_by_rank_gf2(triangle, 3) == set()
    assert naive.decoded_by_rank_gf256(triangle, 3) == set()
    assert naive.decoded_by_rank_fractions(triangle, 3) == {0, 1, 2}
    assert naive.decoded_by_rank_mod_p(triangle, 3) == {0, 1, 2}


def test_gf256_multiplies_and_inverts_as_in_fips_197():
    field = naive.GF256()
    assert field.multiply(0x57, 0x83) == 0xC1
    assert field.multiply(0x57, 0x13) == 0xFE
    assert field.invert(0x53) == 0xCA


@given(st.sets(st.integers(1, 255), min_size=1, max_size=4), st.integers(1, 4))
@relaxed
def test_gf256_vandermonde_rows_decode_all_or_nothing(points, k):
    field = naive.GF256()
    rows = []
    for x in sorted(points):
        powers = [1]
        while len(powers) < k:
            powers.append(field.multiply(powers[-1], x))
        rows.append(powers)
    # Nonzero points: with fewer than K rows the solution set has no fixed coordinate, so nothing is decoded.
    assert naive.decoded_by_rank_gf256(rows, k) == (set(range(k)) if len(points) >= k else set())
