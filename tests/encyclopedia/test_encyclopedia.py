"""Every concept's statistics are those of its own contexts; stages add; nothing is lost to a kill."""

import json

import numpy as np
import pytest
import torch
from kills import contents
from worlds import toy_contexts, toy_taxonomy

from hsae.concepts import Concept, Taxonomy
from hsae.contexts import Context
from hsae.encyclopedia import Encyclopedia, load
from hsae.encyclopedia.encyclopedia import CONCEPTS, read_taxonomy, write_taxonomy
from hsae.encyclopedia.gather import gather, in_blocks, pool
from hsae.encyclopedia.writer import Reading, Stage, write
from hsae.errors import UserError

SITES = ["resid_post.0", "mlp_out.2"]
POOLINGS = ("span", "last", "mean")
TAXONOMY = toy_taxonomy(10)


def make(folder, lm, contexts, taxonomy=TAXONOMY, **options):
    folder.mkdir(exist_ok=True)
    done = list(steps(folder, lm, contexts, taxonomy, **options))
    return Encyclopedia(folder), done


def steps(
    folder, lm, contexts, taxonomy=TAXONOMY, *, stage="templates", number=1, block=4, earlier=None, **said
):
    reading = Reading(**{"sites": SITES, "poolings": POOLINGS, "sample": 2, "batch_tokens": 120} | said)
    where = {"stage": Stage(stage, number), "block": block, "earlier": earlier}
    return write(lm, taxonomy, contexts, folder, reading=reading, **where)


@pytest.fixture(scope="module")
def encyclopedia(tmp_path_factory, lm):
    return make(tmp_path_factory.mktemp("encyclopedia") / "one", lm, toy_contexts(TAXONOMY))[0]


def vectors_of(lm, contexts, site, pooling="span"):
    """The obvious twin of `gather`: one context at a time, and its span looked up by hand."""
    found = []
    for context in contexts:
        tokens, got = lm.capture_texts([context.text], [site])
        inside = [
            number
            for number, (start, end) in enumerate(tokens.offsets[0].tolist())
            if set(range(start, end)) & set(range(context.start, context.end))
        ]
        of = {"span": inside, "last": inside[-1:], "mean": ~tokens.special[0]}[pooling]
        found.append(got[site][0, of].mean(0))
    return torch.stack(found)


def test_a_vector_per_context_is_the_mean_over_the_span_whatever_the_batch(lm):
    contexts = list(toy_contexts(TAXONOMY))[:17]
    for batch_tokens in (1, 100, 10_000):
        got = gather(lm, contexts, SITES, batch_tokens=batch_tokens, poolings=POOLINGS).vectors
        for site in SITES:
            for pooling in POOLINGS:
                expected = vectors_of(lm, contexts, site, pooling)
                found = torch.from_numpy(got[site, pooling])
                torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_what_stands_outside_the_span_does_not_enter_even_if_it_is_no_number():
    rows, kept = torch.ones(3, 2), torch.ones(1, 3, dtype=torch.bool)
    rows[2] = float("nan")
    assert torch.equal(pool(rows, torch.tensor([[True, True, False]]), kept), torch.ones(1, 2))


@pytest.mark.parametrize("role", ["fit", "tune", "test", "all"])
def test_statistics_are_those_of_each_concepts_contexts_of_the_role(encyclopedia, lm, role):
    for row, concept in enumerate(TAXONOMY):
        mine = [c for c in toy_contexts(TAXONOMY) if c.concept == concept.id and role in (c.role, "all")]
        for site in SITES:
            x = vectors_of(lm, mine, site).double()
            assert encyclopedia.count(role=role)[row] == len(mine)
            torch.testing.assert_close(
                encyclopedia.mean(site, role=role)[row], x.mean(0).float(), rtol=1e-4, atol=1e-5
            )
            variance = encyclopedia.variance(site, role=role)[row]
            if len(mine) > 1:
                torch.testing.assert_close(variance, x.var(0).float(), rtol=1e-3, atol=1e-6)
            else:
                assert variance.isnan().all()


def test_the_pooled_covariance_is_that_of_contexts_around_their_concepts_mean(encyclopedia, lm):
    total, freedom = torch.zeros(lm.d, lm.d, dtype=torch.float64), 0
    for concept in TAXONOMY:
        mine = [c for c in toy_contexts(TAXONOMY) if c.concept == concept.id and c.role == "fit"]
        x = vectors_of(lm, mine, SITES[0]).double()
        total += (x - x.mean(0)).T @ (x - x.mean(0))
        freedom += len(mine) - 1
    torch.testing.assert_close(encyclopedia.covariance(SITES[0]), total / freedom, rtol=1e-4, atol=1e-7)


def test_vectors_are_means_without_their_average(encyclopedia):
    vectors = encyclopedia.vectors(SITES[0])
    assert vectors.dtype == torch.float32
    assert vectors.mean(0).abs().max() < 1e-5
    mean = encyclopedia.mean(SITES[0])
    torch.testing.assert_close(vectors[3] - vectors[5], mean[3] - mean[5])


def test_blocks_and_batches_change_nothing(tmp_path, encyclopedia, lm):
    other, _ = make(tmp_path / "other", lm, toy_contexts(TAXONOMY), block=100, batch_tokens=5000)
    for site in SITES:
        torch.testing.assert_close(other.mean(site), encyclopedia.mean(site), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(
            other.covariance(site), encyclopedia.covariance(site), rtol=1e-3, atol=1e-7
        )


def test_a_stage_adds_to_the_earlier_one_and_equals_both_at_once(tmp_path, encyclopedia, lm):
    contexts = list(toy_contexts(TAXONOMY))
    first = [context for context in contexts if context.template == "the {}"]
    second = [context for context in contexts if context.template != "the {}"]
    early, _ = make(tmp_path / "early", lm, first, stage="raw", number=0)
    late, _ = make(tmp_path / "late", lm, second, earlier=early)
    assert [(stage["stage"], stage["contexts"]) for stage in late.stages] == [
        ("raw", 10),
        ("templates", len(second)),
    ]
    for site in SITES:
        for role in ("fit", "tune", "test"):
            assert torch.equal(late.count(role=role), encyclopedia.count(role=role))
            torch.testing.assert_close(
                late.mean(site, role=role),
                encyclopedia.mean(site, role=role),
                rtol=1e-4,
                atol=1e-5,
                equal_nan=True,
            )
            torch.testing.assert_close(
                late.variance(site, role=role),
                encyclopedia.variance(site, role=role),
                rtol=1e-3,
                atol=1e-6,
                equal_nan=True,
            )
        torch.testing.assert_close(late.covariance(site), encyclopedia.covariance(site), rtol=1e-3, atol=1e-7)


def test_a_stage_on_top_of_other_concepts_or_another_model_is_refused(tmp_path, encyclopedia, lm):
    other = Taxonomy([Concept("x", "dog"), *TAXONOMY.concepts[1:]][:1])
    with pytest.raises(UserError, match="10 concepts, not the same as the 1"):
        make(tmp_path / "a", lm, [], taxonomy=other, earlier=encyclopedia)
    with pytest.raises(UserError, match="no site 'embed'"):
        make(tmp_path / "b", lm, [], sites=["embed"], earlier=encyclopedia)
    with pytest.raises(UserError, match="is of the model .*, not of other"):
        Encyclopedia(encyclopedia.folder, model="other")


def test_the_taxonomy_comes_back_without_its_source(encyclopedia):
    assert encyclopedia.taxonomy.concepts == TAXONOMY.concepts
    assert load(encyclopedia.folder).taxonomy.parents == TAXONOMY.parents


def test_a_taxonomy_written_before_sources_recorded_antonyms_is_still_read(encyclopedia, tmp_path):
    lines = [json.loads(line) for line in (encyclopedia.folder / CONCEPTS).read_text().splitlines()]
    assert all(line.pop("antonyms") == [] for line in lines)
    old = tmp_path / CONCEPTS
    old.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert read_taxonomy(old).concepts == TAXONOMY.concepts
    opposed = Taxonomy([Concept("x:hot", "hot", antonyms=("x:cold", "x:cool"))])
    write_taxonomy(opposed, old)
    assert read_taxonomy(old).concepts == opposed.concepts


def test_a_concept_without_contexts_is_missing_and_never_zero(tmp_path, lm):
    lost = TAXONOMY.concepts[4].id
    some, _ = make(tmp_path / "some", lm, (c for c in toy_contexts(TAXONOMY) if c.concept != lost))
    assert some.count()[4] == 0
    assert some.mean(SITES[0])[4].isnan().all()
    assert not some.relative_error(SITES[0])[[3, 5]].isnan().any()
    with pytest.raises(
        UserError, match=f"1 of 10 concepts have no context of the role 'fit', such as {lost}"
    ):
        some.vectors(SITES[0])


def test_concepts_are_listed_by_how_uncertain_they_are(tmp_path, lm):
    single = TAXONOMY.concepts[7].id
    kept = [c for c in toy_contexts(TAXONOMY) if c.concept != single or c.template == "the {}"]
    some, _ = make(tmp_path / "some", lm, kept)
    lines = [json.loads(line) for line in (some.folder / "uncertain.jsonl").read_text().splitlines()]
    assert lines[0] == {
        "rank": 0,
        "id": single,
        "name": TAXONOMY.concepts[7].name,
        "n": 1,
        "error": dict.fromkeys(SITES),
    }
    worst = [max(line["error"].values()) for line in lines[1:]]
    assert worst == sorted(worst, reverse=True) and sorted(line["id"] for line in lines) == sorted(
        TAXONOMY.index
    )
    row = TAXONOMY.index[lines[1]["id"]]
    for site in SITES:
        standard_error = (some.variance(site)[row] / some.count()[row]).sum().sqrt()
        length = (some.mean(site)[row] - some.mean(site).mean(0)).norm()
        assert lines[1]["error"][site] == pytest.approx(float(standard_error / length), rel=1e-4)


def test_without_a_second_context_the_spread_is_unknown(tmp_path, lm):
    once, _ = make(tmp_path / "once", lm, (c for c in toy_contexts(TAXONOMY) if c.template == "the {}"))
    assert once.relative_error(SITES[0]).isnan().all()
    with pytest.raises(UserError, match="stage=templates"):
        once.covariance(SITES[0])


def context(text, start, end, concept=0, template="t"):
    return Context(TAXONOMY.concepts[concept].id, text, start, end, template, "fit", "toy")


def test_a_context_that_cannot_be_used_is_named(lm):
    with pytest.raises(UserError, match="'a dog' of .*no token of the model stands in its span"):
        gather(lm, [context("the house", 4, 9), context("a dog", 5, 5)], SITES, batch_tokens=100)
    with (
        pytest.raises(UserError, match="not a finite number"),
        lm.edited("resid_post.0", lambda x: x * float("inf")),
    ):
        gather(lm, [context("a dog", 2, 5)], SITES, batch_tokens=100)


def test_a_context_that_does_not_fit_into_the_model_is_left_out_and_named(tmp_path, lm, encyclopedia):
    long = Context(TAXONOMY.concepts[3].id, "a dog " * 50, 2, 5, "long", "fit", "toy")
    contexts = [*toy_contexts(TAXONOMY)]
    some, _ = make(tmp_path / "some", lm, [*contexts[:20], long, *contexts[20:]])
    assert some.stages[-1]["too_long"] == [[TAXONOMY.concepts[3].id, "long"]]
    torch.testing.assert_close(some.mean(SITES[0]), encyclopedia.mean(SITES[0]))


def test_contexts_out_of_order_are_refused():
    rows = {"a": 0, "b": 1, "c": 2}
    texts = lambda concepts: [Context(concept, "x", 0, 1, "t", "fit", "toy") for concept in concepts]
    blocks = [[c.concept for c in block] for block in in_blocks(texts("aabc"), rows, block=2)]
    assert blocks == [["a", "a", "b"], ["c"]]
    assert [len(block) for block in in_blocks(texts("c"), rows, block=1)] == [0, 0, 1]
    assert [len(block) for block in in_blocks([], rows, block=2)] == [0, 0]
    with pytest.raises(UserError, match="out of order: its concept a was passed"):
        list(in_blocks(texts("ca"), rows, block=1))
    with pytest.raises(UserError, match="out of order: its concept z is not in the taxonomy"):
        list(in_blocks(texts("z"), rows, block=1))


def test_blocks_that_are_safe_are_not_read_again(tmp_path, lm, monkeypatch):
    make(tmp_path / "one", lm, toy_contexts(TAXONOMY))
    monkeypatch.setattr(type(lm), "capture", None)
    again, done = make(tmp_path / "one", lm, toy_contexts(TAXONOMY))
    assert done == [] and len(again.taxonomy) == 10


def test_stopped_after_any_block_and_run_again_it_is_the_same_to_the_byte(tmp_path, lm, encyclopedia):
    for _ in range(3):
        blocks = steps(tmp_path, lm, toy_contexts(TAXONOMY))
        next(blocks, None)
        blocks.close()
    assert not (tmp_path / "encyclopedia.json").exists()
    make(tmp_path, lm, toy_contexts(TAXONOMY))
    assert contents(tmp_path) == contents(encyclopedia.folder)


def test_every_context_is_kept_as_it_was_read(encyclopedia):
    found = []
    for number in range(len(encyclopedia.shards)):
        block = encyclopedia.block(number)
        found += block.table.contexts([TAXONOMY.concepts[row].id for row in block.rows])
        assert set(block.table["stage"].tolist()) == {1}
    assert found == list(toy_contexts(TAXONOMY))


def test_a_context_that_is_known_tells_nothing_new(tmp_path, encyclopedia, lm):
    contexts = list(toy_contexts(TAXONOMY))
    again, _ = make(tmp_path / "again", lm, contexts, earlier=encyclopedia, stage="again", number=2)
    assert again.stages[-1]["repeated"] == len(contexts) and again.stages[-1]["contexts"] == 0
    assert torch.equal(again.count(), encyclopedia.count())
    twice, _ = make(tmp_path / "twice", lm, (c for c in contexts for _ in range(2)))
    assert torch.equal(twice.mean(SITES[0]), encyclopedia.mean(SITES[0]))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_raw_rows_are_a_sample_of_what_was_read_whatever_the_stages(tmp_path, encyclopedia, lm, pooling):
    contexts = list(toy_contexts(TAXONOMY))
    early, _ = make(tmp_path / "early", lm, contexts[:17], stage="raw", number=0)
    late, _ = make(tmp_path / "late", lm, contexts, earlier=early)
    for role in ("fit", "tune", "test"):
        rows = encyclopedia.rows(SITES[1], role=role, pooling=pooling)
        mine = [context for context in contexts if context.role == role]
        x = vectors_of(lm, mine, SITES[1], pooling)
        for row, concept, template, source in zip(*rows, strict=True):
            of = [
                number
                for number, context in enumerate(mine)
                if TAXONOMY.index[context.concept] == concept
                and context.template == encyclopedia.templates[template]
            ]
            torch.testing.assert_close(torch.from_numpy(row), x[of[0]], rtol=2e-3, atol=2e-3)
            assert encyclopedia.sources[source] == "toy"
        _, counts = np.unique(rows.concept, return_counts=True)
        assert len(counts) == 10 and counts.max() <= 2
        order = np.lexsort((rows.template, rows.concept))
        others = late.rows(SITES[1], role=role, pooling=pooling)
        other = np.lexsort((others.template, others.concept))
        np.testing.assert_allclose(others.x[other], rows.x[order], rtol=1e-2, atol=1e-2)


def test_what_a_template_adds_is_its_mean_over_concepts(tmp_path, encyclopedia, lm):
    contexts = list(toy_contexts(TAXONOMY))
    early, _ = make(tmp_path / "early", lm, contexts[:17], stage="raw", number=0)
    late, _ = make(tmp_path / "late", lm, contexts, earlier=early)
    for book in (encyclopedia, late):
        count, mean = book.effects(SITES[0])
        for number, template in enumerate(book.templates):
            mine = [context for context in contexts if context.template == template]
            x = vectors_of(lm, mine, SITES[0])
            assert count[number] == len(mine)
            np.testing.assert_allclose(mean[number], x.mean(0), rtol=1e-4, atol=1e-5)


def test_another_pooling_than_those_that_were_read_is_refused(encyclopedia, tmp_path, lm):
    assert torch.equal(encyclopedia.mean(SITES[0]), encyclopedia.mean(SITES[0], pooling="span"))
    with pytest.raises(UserError, match=r"no pooling 'max'(.|\n)*encyclopedia.poolings"):
        encyclopedia.mean(SITES[0], pooling="max")
    with pytest.raises(UserError, match="poolings"):
        make(tmp_path / "other", lm, [], poolings=("span",), earlier=encyclopedia)
