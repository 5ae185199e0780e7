"""WordNet's nouns arrive whole, in order, and never padded."""

import os
import time

import pytest

from hsae.concepts import wordnet, wordnet_data
from hsae.errors import UserError

needs_wordnet = pytest.mark.skipif(not wordnet.found(), reason="WordNet is not on this machine: make wordnet")


def load(*, seed=0, **changed):
    return wordnet.load(
        wordnet.Settings(
            **{"name": "wordnet", "n": None, "pos": "n", "order": "frequency", "instances": True} | changed
        ),
        seed=seed,
    )


@needs_wordnet
def test_all_noun_synsets_are_there():
    nouns = load()
    assert len(nouns) == 82_115
    assert nouns["wn30:dog.n.01"].lemmas == ("dog", "domestic dog", "Canis familiaris")
    assert nouns["wn30:dog.n.01"].parents == ("wn30:canine.n.02", "wn30:domestic_animal.n.01")
    assert [c.id for c in nouns if not c.parents] == ["wn30:entity.n.01"]


@needs_wordnet
def test_verbs_are_a_forest_of_their_own():
    verbs = load(pos="v", instances=False)
    assert len(verbs) == 13_767 and all(concept.id.split(".")[-2] == "v" for concept in verbs)


@needs_wordnet
@pytest.mark.parametrize("n", [1, 37, 1000])
def test_n_concepts_are_exactly_n_the_frequent_ones_and_their_ancestors(n):
    chosen = load(n=n, instances=False)
    assert len(chosen) == n
    if n == 1000:
        leaves = [concept for row, concept in enumerate(chosen) if not chosen.children[row]]
        assert sorted(leaf.frequency for leaf in leaves)[len(leaves) // 20] > 20


@needs_wordnet
def test_every_synset_is_there_and_adjectives_and_adverbs_are_roots():
    assert len(load(pos=["n", "v", "a", "r"])) == 117_659
    modifiers = load(pos=["a", "r"])
    assert len(modifiers) == 18_156 + 3_621
    assert not any(concept.parents or concept.depth for concept in modifiers)
    assert {concept.pos for concept in modifiers} == {"a", "r"}, "satellites are adjectives too"


@needs_wordnet
def test_all_nouns_are_read_from_the_table_in_a_few_seconds():
    load()
    wordnet.synsets.cache_clear()
    start = time.process_time()
    load()
    assert time.process_time() - start < 10


@needs_wordnet
def test_by_depth_no_concept_comes_before_all_that_stand_higher():
    verbs = load(pos="v")
    few = load(n=900, pos="v", order="depth")
    missing = min(concept.depth for concept in verbs if concept.id not in few.index)
    deeper = [concept for concept in few if concept.depth > missing]
    assert len(deeper) < 15, "second parents of what stands higher, and nothing else"


@needs_wordnet
def test_connectivity_counts_the_relations_that_nltk_lists():
    kinds = ["hypernyms", "hyponyms", "similar_tos", "attributes", "entailments", "causes"]
    kinds += [f"{kind}_{end}nyms" for kind in ("part", "substance", "member") for end in ("mero", "holo")]
    reader = wordnet.reader(wordnet_data.find())
    rows = wordnet.synsets()
    for row in [*rows[::600], *sorted(rows, key=lambda row: -row.relations)[:5]]:
        synset = reader.synset(row.id.removeprefix("wn30:"))
        assert row.relations == sum(len(getattr(synset, kind)()) for kind in kinds), row.id


@needs_wordnet
def test_by_connectivity_the_most_connected_come_first_however_rare():
    few = load(n=60, order="connectivity", instances=False)
    assert {"wn30:person.n.01", "wn30:asterid_dicot_genus.n.01"} <= set(few.index)


@needs_wordnet
def test_stratified_takes_from_far_more_topics_depths_and_senses_than_frequency_does():
    def strata(order):
        rows = {row.id: row for row in wordnet.synsets()}
        few = load(n=500, pos="v", order=order)
        leaves = [concept for row, concept in enumerate(few) if not few.children[row]]
        return len({(rows[leaf.id].topic, leaf.depth) for leaf in leaves})

    assert strata("stratified") > 1.3 * strata("frequency")


@needs_wordnet
@pytest.mark.parametrize("order", ["random", "stratified"])
def test_what_chance_takes_depends_on_the_seed_alone(order):
    one, again, other = (set(load(n=300, pos="v", order=order, seed=seed).index) for seed in (1, 1, 2))
    assert one == again and len(one & other) < 200


@needs_wordnet
@pytest.mark.parametrize("order", ["frequency", "depth", "connectivity", "stratified", "random"])
def test_every_order_gives_exactly_n_of_trees_and_of_what_has_none(order):
    assert len(load(n=100, pos=["v", "r"], order=order, instances=False)) == 100


@needs_wordnet
def test_individuals_can_be_left_out():
    assert "wn30:einstein.n.01" in load().index
    assert "wn30:einstein.n.01" not in load(instances=False).index


@needs_wordnet
def test_antonyms_are_the_synsets_of_the_words_that_wordnet_sets_against_its_own():
    every = {row.id: row.antonyms for row in wordnet.synsets()}
    assert every["wn30:man.n.01"] == ("wn30:woman.n.01",) and every["wn30:hot.a.01"] == ("wn30:cold.a.01",)
    assert load(n=None)["wn30:man.n.01"].antonyms == ("wn30:woman.n.01",)
    assert sum(map(bool, every.values())) > 7000
    for id, opposite in every.items():
        assert all(id in every[other] for other in opposite), "antonymy goes both ways"
    nltk_reader = wordnet.reader(wordnet.find())
    for id in sorted(every)[::97]:
        lemmas = nltk_reader.synset(id.removeprefix("wn30:")).lemmas()
        slow = {f"wn30:{other.synset().name()}" for lemma in lemmas for other in lemma.antonyms()}
        assert set(every[id]) == slow


@needs_wordnet
def test_asking_for_more_than_there_is_is_refused():
    with pytest.raises(UserError, match=r"concepts\.n=82116: WordNet.* has 82115 concepts"):
        load(n=82_116)


@needs_wordnet
def test_families_are_common_words_under_shared_parents():
    words = wordnet.families()
    assert len({parent for _, parent in words}) == 60 and len(words) > 400
    assert all(word.isalpha() and word.islower() for word, _ in words)


def test_without_the_data_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(wordnet, "find", lambda: None)
    with pytest.raises(UserError, match=r"make wordnet[\s\S]*concepts=builtin"):
        wordnet.fingerprint()


def test_debians_files_are_completed_with_the_missing_list(tmp_path, monkeypatch):
    monkeypatch.setenv("HSAE_DATA", str(tmp_path / "home"))
    debian = tmp_path / "debian"
    debian.mkdir()
    for file in wordnet_data.FILES:
        (debian / file).write_text(file)
    monkeypatch.setattr(wordnet_data, "nltk_folders", lambda: [wordnet_data.data_home() / "nltk_data"])
    assert wordnet_data.find() is None
    assert wordnet_data._adopt(debian)
    home = wordnet_data.find()
    names = (home / "corpora/wordnet/lexnames").read_text().splitlines()
    assert len(names) == 45 and names[5] == "05\tnoun.animal\t1" and names[44] == "44\tadj.ppl\t3"
    assert not wordnet_data._adopt(tmp_path)


def test_a_folder_named_by_NLTK_DATA_comes_first(tmp_path, monkeypatch):
    monkeypatch.setenv("NLTK_DATA", os.pathsep.join([str(tmp_path / "mine"), str(tmp_path)]))
    assert wordnet_data.nltk_folders()[0] == tmp_path / "mine"
