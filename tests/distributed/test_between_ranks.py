"""What ranks tell each other, what they measure and train on (spec/ranks.md): one launch of two."""

import pytest
from support import ranks_child
from support.launch import answers, launch, torchrun
from support.runs import floats


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Let two ranks find out the facts; returns what each found."""
    folder = tmp_path_factory.mktemp("facts")
    script = [*torchrun(2), ranks_child.__file__, "facts", folder]
    started = launch(script, cwd=folder, log=folder / "log")
    assert started.status == 0, started.err
    return answers(folder)


@pytest.fixture(scope="module")
def alone():
    """Find out the same in this process."""
    return ranks_child.facts()


@pytest.mark.clause("RANK-001")
def test_processes_know_each_other(found, alone):
    """On a machine without a GPU two processes are ranks 0 and 1 of 2, and this one 0 of 1."""
    assert [(one["rank"], one["world_size"]) for one in found] == [(0, 2), (1, 2)]
    assert (alone["rank"], alone["world_size"]) == (0, 1)


@pytest.mark.clause("RANK-008")
def test_what_the_main_process_has_reaches_all(found, alone):
    """Values and tensors of any type and shape, empty and strided too, are the main one's."""
    for one in (*found, alone):
        assert one["value"] == {"a": [1, None, "é", float("inf")]}
        assert one["nothing"] is None
        zeros = [[[0.0] * 3] * 2, 0, [True, False], [0.0] * 3, [], [[0] * 4] * 2]
        assert one["tensors"] == zeros
        assert one["main makes"] == {"made on": 0}
    assert [one["sum"] for one in (*found, alone)] == [[2.0, 1.0], [2.0, 1.0], [1.0, 0.0]]


@pytest.mark.clause("RANK-008")
def test_every_rank_hears_all_others(found, alone):
    """Texts of different lengths come in the order of the ranks."""
    expected = [{"rank": 0, "text": ""}, {"rank": 1, "text": "é"}]
    assert [one["gathered"] for one in found] == [expected, expected]
    assert alone["gathered"] == expected[:1]


@pytest.mark.clause("RANK-012")
def test_a_fork_of_a_rank_ends_whatever_was_garbage(found, alone):
    """It collects garbage and ends, though a process group is among what the rank left behind."""
    assert [one["a fork collects"] for one in (*found, alone)] == [0, 0, 0]


@pytest.mark.clause("RANK-004")
def test_a_phase_fails_on_every_rank_or_on_none(found):
    """Each rank raises, names the one that failed and its host, and keeps the exit status."""
    main, other = found
    assert main["none fails"] is other["none fails"] is None
    kind, text, status = main["one fails"]
    assert (kind, status) == ("RankError", 2)
    assert text.startswith("rank 1 of 2, on ")
    assert text.endswith(": corpus.txt: rank 1 finds nothing")
    assert other["one fails"] == ["CorpusError", "corpus.txt: rank 1 finds nothing", 2]
    assert main["both fail"] == ["CorpusError", "corpus.txt: rank 0 finds nothing", 2]
    assert other["both fail"] == ["CorpusError", "corpus.txt: rank 1 finds nothing", 2]


@pytest.mark.clause("RANK-004")
def test_what_the_main_process_does_alone_fails_on_every_rank(found):
    """So does what it makes and cannot send; a fault has exit status 1."""
    main, other = found
    assert main["main fails"] == ["CorpusError", "the main process finds nothing", 2]
    kind, text, status = other["main fails"]
    assert (kind, status) == ("RankError", 2)
    assert text.startswith("rank 0 of 2, on ")
    assert main["main cannot say"][0] == "TypeError"
    kind, text, status = other["main cannot say"]
    assert (kind, status) == ("RankError", 1)
    assert "a bug in mlmref or a plugin (TypeError: " in text


@pytest.mark.clause("RANK-005")
def test_a_difference_is_refused_and_named(found, alone):
    """Every rank raises the same: what differs, on which rank and host, and how."""
    main, other = found
    assert main["agree"] is other["agree"] is alone["differ"] is None
    assert main["differ"] == other["differ"]
    kind, text, status = main["differ"]
    assert (kind, status) == ("ConfigError", 2)
    assert text.startswith("rank 1 of 2, on ")
    assert text.endswith(": tokens is 4, but 3 on the main process; make it the same on all hosts")


@pytest.mark.clause("EVAL-002")
@pytest.mark.clause("EVAL-004")
@pytest.mark.clause("RANK-002")
def test_perplexity_is_the_same_for_any_batch_size_on_one_rank_and_two(found, alone):
    """1, 7 and 64 chunks at a time: to 1e-6, and the same targets and hits."""
    expected, targets, correct = alone["evaluations"]["64"]
    assert targets > 100
    for one in (*found, alone):
        for perplexity, *counts in one["evaluations"].values():
            assert perplexity == pytest.approx(expected, rel=1e-6)
            assert counts == [targets, correct]


@pytest.mark.clause("EVAL-004")
def test_fewer_held_out_chunks_than_ranks_are_counted_once(found, alone):
    """A single chunk on two ranks gives the figure and the targets of one process."""
    expected, targets = alone["a single chunk"]
    for one in found:
        assert one["a single chunk"] == [pytest.approx(expected, rel=1e-6), targets]


@pytest.mark.clause("ORDER-002")
@pytest.mark.clause("ORDER-003")
def test_rows_and_masks_do_not_depend_on_ranks_or_workers(found, alone):
    """In each step of two epochs the ranks together have the labels that one process has."""
    expected = alone["steps"]["0"]
    assert len(expected) == 2 * 7
    assert expected[:7] != expected[7:]
    for one in (*found, alone):
        assert one["steps"] == {"0": expected, "1": expected, "2": expected}


@pytest.mark.clause("BACK-004")
@pytest.mark.clause("RANK-002")
@pytest.mark.parametrize("backend", ["trainer", "accelerate"])
def test_unused_layers_and_steps_without_targets_train_as_in_one_process(found, alone, backend):
    """Ranks wait for no gradient that never comes; without a target on one, the other's count."""
    for name, expected in alone["trained"][backend].items():
        assert len(expected) == 2 * 3
        assert (None in expected) is (name == "few targets")
        for one in found:
            trained = floats(one["trained"][backend][name])
            assert trained == pytest.approx(floats(expected), rel=1e-4, nan_ok=True)
