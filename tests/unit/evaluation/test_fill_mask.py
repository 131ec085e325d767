"""Fill-mask says what the model says, in readable words, and disturbs nothing."""

import copy
import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.models import VARIANTS, variant
from support.tokenizers import FAMILIES, SPECIAL, tokenizer
from transformers import (
    AddedToken,
    AutoModelForMaskedLM,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
    pipeline,
)

import mlmref.evaluation.fill_mask
from mlmref.base.errors import ConfigError, ModelError
from mlmref.data.tokenizer.vocabulary import vocabulary_of
from mlmref.evaluation.fill_mask import fill
from mlmref.evaluation.prompts import PromptEncoder
from mlmref.model.embedded import embedded_checkpoint
from mlmref.model.max_length import max_length

GREAT = "This is a great {mask}."


@pytest.fixture(scope="module")
def embedded():
    """Load the checkpoint that ships, with its tokenizer."""
    folder = embedded_checkpoint()
    return (
        AutoModelForMaskedLM.from_pretrained(folder, dtype=torch.float32),
        AutoTokenizer.from_pretrained(folder),
    )


def _roberta_like():
    """Return a byte-level BPE tokenizer whose mask takes in the blank before it, as RoBERTa's."""
    mask = AddedToken("<mask>", lstrip=True, special=True)
    special = SPECIAL | {"mask_token": mask}
    return PreTrainedTokenizerFast(
        tokenizer_object=_copy("byte-bpe"), model_max_length=32, **special
    )


def _copy(family):
    backend = tokenizer(family).backend_tokenizer
    return type(backend).from_str(backend.to_str())


def _bert(size, **changes):
    torch.manual_seed(0)
    settings = {
        "vocab_size": size,
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "max_position_embeddings": 32,
        "initializer_range": 0.5,
    }
    return BertForMaskedLM(BertConfig(**settings | changes)).eval()


def _tiny(family):
    """Return a tiny random model for a tokenizer family, with the tokenizer."""
    tokens = _roberta_like() if family == "roberta-like" else tokenizer(family)
    return _bert(len(tokens)), tokens


def _ordinary(tokens):
    return len(vocabulary_of(tokens).ordinary_ids)


def _scores(filled):
    return {answer.token: answer.score for answer in filled.answers}


def _chain(model, before, pieces, after, mask):
    """Return the probability of ``pieces`` between two rows of ids, a forward a piece."""
    product = 1.0
    for done, piece in enumerate(pieces):
        row = [*before, *pieces[:done], *[mask] * (len(pieces) - done), *after]
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([row])).logits
        product *= logits[0, len(before) + done].softmax(-1)[piece].item()
    return product


@pytest.mark.clause("FILL-014")
def test_embedded_checkpoint_answers(embedded):
    """The checkpoint that ships fills "This is a great [MASK]." with no film word."""
    [filled] = fill(*embedded, ["This is a great [MASK]."])
    tokens = [answer.token for answer in filled.answers]
    assert tokens == ["man", "time", "truth", "value", "degree"]


@pytest.mark.clause("FILL-001")
@pytest.mark.parametrize("family", [*FAMILIES, "roberta-like"])
def test_placeholder_is_the_mask(family):
    """``{mask}`` gives what the tokenizer's own mask token gives."""
    model, tokens = _tiny(family)
    [neutral] = fill(model, tokens, ["This is {mask}."])
    [own] = fill(model, tokens, [f"This is {tokens.mask_token}."])
    assert neutral.answers == own.answers
    assert (neutral.prompt, own.prompt) == ("This is {mask}.", f"This is {tokens.mask_token}.")


@pytest.mark.clause("FILL-001")
@pytest.mark.parametrize("family", FAMILIES)
def test_a_mask_is_one_for_a_tokenizer_that_splits_special_tokens(family):
    """With split_special_tokens a prompt has its mask all the same, and the tokenizer stays so."""
    model, tokens = _tiny(family)
    whole = fill(model, tokens, ["This is {mask}."])
    splitting = copy.deepcopy(tokens)
    splitting.split_special_tokens = True
    assert fill(model, splitting, ["This is {mask}."]) == whole
    assert splitting.split_special_tokens


@pytest.mark.clause("FILL-002")
@pytest.mark.parametrize(
    ("family", "foreign", "own"),
    [
        ("wordpiece", "<mask>", "[MASK]"),
        ("wordpiece", "[mask]", "[MASK]"),
        ("wordpiece", "<|mask|>", "[MASK]"),
        ("wordpiece", "{MASK}", "[MASK]"),
        ("roberta-like", "[MASK]", "<mask>"),
        ("roberta-like", "<MASK>", "<mask>"),
    ],
)
def test_foreign_mask_is_explained(family, foreign, own):
    """A mask of another kind is refused, beside one of the right kind too, naming both."""
    model, tokens = _tiny(family)
    for prompt in (f"This is {foreign}.", f"This {{mask}} is {foreign}."):
        with pytest.raises(ConfigError) as caught:
            fill(model, tokens, [prompt])
        assert str(caught.value) == (
            f"prompt {prompt!r}: {foreign!r} is not this tokenizer's mask token; "
            f"write {own!r} or '{{mask}}'"
        )


@pytest.mark.clause("FILL-003")
@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ([""], "prompt '': no mask to fill; write '{mask}' in it"),
        (["   "], "prompt ' ': no mask to fill; write '{mask}' in it"),
        ([GREAT, "film"], "prompt 'film': no mask to fill; write '{mask}' in it"),
        (
            ["{mask}" + " film" * 30],
            "prompt '{mask} film film film film film film film film film film ...': "
            "33 tokens are more than the model's maximum of 32; shorten it",
        ),
    ],
)
def test_prompt_that_cannot_be_asked(prompts, message, monkeypatch):
    """A prompt that cannot be asked gives one line, before the model runs."""
    model, tokens = _tiny("wordpiece")
    monkeypatch.setattr(model, "forward", lambda **_: pytest.fail("the model ran"))
    with pytest.raises(ConfigError) as caught:
        fill(model, tokens, prompts)
    assert str(caught.value) == message


@pytest.mark.clause("FILL-003")
def test_top_k_within_the_answers_there_are():
    """Every ordinary token can be an answer at once; none, or one more, cannot be asked for."""
    model, tokens = _tiny("wordpiece")
    most = _ordinary(tokens)
    [filled] = fill(model, tokens, [GREAT], top_k=most)
    assert len(filled.answers) == most
    for top_k in (0, -1, most + 1):
        with pytest.raises(ConfigError) as caught:
            fill(model, tokens, [GREAT], top_k=top_k)
        assert str(caught.value) == (
            f"top_k is {top_k}; use 1 to {most}, the number of ordinary tokens"
        )


@pytest.mark.clause("FILL-003")
def test_prompt_of_exactly_the_maximum():
    """As many tokens as the model can read can be asked."""
    model, tokens = _tiny("wordpiece")
    assert fill(model, tokens, ["{mask}" + "!" * 29])
    with pytest.raises(ConfigError, match="33 tokens"):
        fill(model, tokens, ["{mask}" + "!" * 30])


@pytest.mark.clause("FILL-003")
def test_tokenizer_without_mask():
    """A tokenizer without a mask token is refused."""
    model, _ = _tiny("wordpiece")
    special = {role: token for role, token in SPECIAL.items() if role != "mask_token"}
    tokens = PreTrainedTokenizerFast(tokenizer_object=_copy("wordpiece"), **special)
    with pytest.raises(ModelError, match="no mask token"):
        fill(model, tokens, [GREAT])


@pytest.mark.clause("FILL-004")
def test_each_mask_has_its_own_answers(embedded):
    """Every mask is answered given all masks, numbered in their order."""
    model, tokens = embedded
    prompt = "The {mask} sat on the {mask} of the {mask}."
    filled = fill(model, tokens, [prompt, GREAT])
    assert [(entry.prompt, entry.mask) for entry in filled] == [
        (prompt, 1),
        (prompt, 2),
        (prompt, 3),
        (GREAT, 1),
    ]
    row = torch.tensor([tokens(prompt.replace("{mask}", "[MASK]"))["input_ids"]])
    with torch.no_grad():
        logits = model(input_ids=row).logits[0]
    places = (row[0] == tokens.mask_token_id).nonzero().flatten().tolist()
    for entry, place in zip(filled, places, strict=False):
        best = logits[place].softmax(-1).topk(5)
        assert [answer.token for answer in entry.answers] == tokens.convert_ids_to_tokens(
            best.indices.tolist()
        )
        assert [answer.score for answer in entry.answers] == pytest.approx(
            best.values.tolist(), rel=1e-5
        )


@pytest.mark.clause("FILL-005")
def test_same_as_the_pipeline(embedded):
    """Tokens and scores are those of Transformers' own fill-mask pipeline."""
    model, tokens = embedded
    prompts = [
        "This is a great [MASK].",
        "[MASK] went to the theatre, and liked it.",
        "She was walk[MASK] to the station.",
        "In 1999 the [MASK] of the film was born in Paris (France)!",
    ]
    ask = pipeline("fill-mask", model=model, tokenizer=tokens, device="cpu")
    for prompt, entry in zip(prompts, fill(model, tokens, prompts, top_k=50), strict=True):
        theirs = ask(prompt, top_k=50)
        ours = {answer.token: answer.score for answer in entry.answers}
        scores = {answer["token_str"]: answer["score"] for answer in theirs}
        last = min(scores.values())
        # Scores that differ by rounding alone may come in either order, and either be the last.
        for token in ours.keys() | scores.keys():
            expected = pytest.approx(scores.get(token, last), abs=1e-5, rel=1e-5)
            assert ours.get(token, last) == expected, token
        assert [*ours.values()] == sorted(ours.values(), reverse=True)


@pytest.mark.clause("FILL-005")
@pytest.mark.clause("FILL-006")
def test_special_tokens_are_never_an_answer():
    """Neither special tokens nor ids without a token are answers, and the rest keep their share."""
    tokens = tokenizer("wordpiece")
    model = _bert(len(tokens) + 8)
    nowhere = range(len(tokens), len(tokens) + 8)
    [before] = fill(model, tokens, [GREAT], top_k=_ordinary(tokens))
    assert sum(answer.score for answer in before.answers) < 1
    with torch.no_grad():
        model.get_output_embeddings().bias[[*tokens.all_special_ids, *nowhere]] += 20
    [after] = fill(model, tokens, [GREAT], top_k=_ordinary(tokens))
    assert sum(answer.score for answer in after.answers) < 1e-3
    assert [answer.token for answer in after.answers] == [answer.token for answer in before.answers]
    assert not {answer.token for answer in after.answers} & set(tokens.all_special_tokens)


@pytest.mark.clause("TOK-020")
def test_an_unnamed_special_token_is_no_answer():
    """A token that only its entry in tokenizer.json calls special is no answer."""
    tokens = copy.deepcopy(tokenizer("byte-bpe"))
    tokens.backend_tokenizer.add_special_tokens([AddedToken("<|endoftext|>", special=True)])
    [filled] = fill(_bert(len(tokens)), tokens, [GREAT], top_k=_ordinary(tokens))
    assert "<|endoftext|>" not in [answer.token for answer in filled.answers]


@pytest.mark.clause("FILL-005")
@pytest.mark.clause("FILL-007")
@pytest.mark.parametrize("family", [*FAMILIES, "roberta-like"])
def test_answers_are_readable(family):
    """No answer shows a vocabulary's mark for a blank; WordPiece's mark for a piece stays."""
    model, tokens = _tiny(family)
    [filled] = fill(model, tokens, [GREAT], top_k=_ordinary(tokens))
    shown = [answer.token for answer in filled.answers]
    assert not [token for token in shown if "Ġ" in token or "▁" in token]
    assert not [text for text in shown if text.strip() != text and text != " "]
    assert all(shown)
    marked = {token for token in tokens.get_vocab() if token.startswith("##")}
    assert {token for token in shown if token.startswith("##")} == marked
    assert bool(marked) == (family == "wordpiece")
    scores = [answer.score for answer in filled.answers]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


@pytest.mark.clause("FILL-008")
@pytest.mark.parametrize("candidate", ["man", "moviegoer", "very good man"])
def test_candidate_by_the_chain_rule(embedded, candidate):
    """A candidate's score is the product of its pieces', each given those before it."""
    model, tokens = embedded
    pieces = tokens(candidate, add_special_tokens=False)["input_ids"]
    before = tokens("This is a great")["input_ids"][:-1]
    after = tokens(".")["input_ids"][1:]
    [filled] = fill(model, tokens, [GREAT], candidates=[candidate])
    expected = _chain(model, before, pieces, after, tokens.mask_token_id)
    assert _scores(filled)[candidate] == pytest.approx(expected, rel=1e-4)


@pytest.mark.clause("FILL-008")
def test_later_pieces_are_seen_masked():
    """Of a candidate's score, only the first factor is that of its first piece among masks."""
    model, tokens = _tiny("wordpiece")
    [a, b] = tokens("film film", add_special_tokens=False)["input_ids"]
    two = fill(model, tokens, ["{mask} {mask}."], top_k=_ordinary(tokens))
    alone = _scores(two[0])["film"]
    [second] = fill(model, tokens, ["film {mask}."], top_k=_ordinary(tokens))
    [joint] = fill(model, tokens, ["{mask}."], candidates=["film film"])
    assert a == b
    assert _scores(joint)["film film"] == pytest.approx(alone * _scores(second)["film"], rel=1e-5)


@pytest.mark.clause("FILL-009")
@pytest.mark.parametrize("family", [*FAMILIES, "roberta-like"])
@pytest.mark.parametrize(
    ("before", "candidate", "after"),
    [
        ("This is a great ", "film", "."),
        ("This is a great ", "unwatchable", "!"),
        ("", "Watching", " it again"),
        ("(", "sadly", ")"),
        ("The ", "homeless woman's story", " was told"),
        ("这部", "电影", "非常好看"),
        ("a  ", " dreadful\t", " 1999"),
    ],
)
def test_candidate_is_cut_where_it_stands(family, before, candidate, after):
    """A candidate has the pieces that the text has with the candidate in the mask's place."""
    model, tokens = _tiny(family)
    mask = tokens.mask_token_id

    def ids(text):
        return tokens(text, add_special_tokens=False)["input_ids"]

    pieces = ids(before + candidate.strip())[len(ids(before.rstrip())) :]
    masked = tokens(f"{before}{tokens.mask_token}{after}")["input_ids"]
    at = masked.index(mask)
    expected = _chain(model, masked[:at], pieces, masked[at + 1 :], mask)
    [filled] = fill(model, tokens, [before + "{mask}" + after], candidates=[candidate])
    assert _scores(filled)[candidate] == pytest.approx(expected, rel=1e-4)


@pytest.mark.clause("FILL-009")
@pytest.mark.parametrize("family", ["unigram", "roberta-like"])
def test_blank_before_the_mask_matters(family):
    """After a blank a candidate has the pieces of a word's start; after a bracket, others."""
    encoder = PromptEncoder(*_tiny(family))
    seen = []
    for prompt in ("a great {mask}", "a great ({mask}"):
        [pieces] = encoder.encode_candidates(prompt, encoder.encode(prompt), ["film"])
        seen.append("".join(encoder.tokenizer.convert_ids_to_tokens(pieces)))
    assert seen[0] in ("Ġfilm", "▁film")
    assert seen[1] == "film"


@pytest.mark.clause("FILL-010")
def test_scores_of_candidates_stand_alone(embedded):
    """A candidate's score depends on no other, nor on ``top_k``; one piece scores as without."""
    candidates = ["man", "moviegoer", "film", "a good man", "man"]
    [together] = fill(*embedded, [GREAT], candidates=candidates, top_k=1)
    assert [answer.token for answer in together.answers] == [
        "man",
        "man",
        "film",
        "a good man",
        "moviegoer",
    ]
    for candidate in candidates:
        [alone] = fill(*embedded, [GREAT], candidates=[candidate])
        assert _scores(alone)[candidate] == pytest.approx(_scores(together)[candidate], rel=1e-5)
    [plain] = fill(*embedded, [GREAT], top_k=1)
    assert _scores(plain)["man"] == pytest.approx(_scores(together)["man"], rel=1e-5)
    assert sum(_scores(together).values()) < 0.1


@pytest.mark.clause("FILL-010")
def test_candidates_for_several_prompts():
    """Every prompt ranks the candidates for itself, a prompt that comes twice too."""
    model, tokens = _tiny("wordpiece")
    prompts = ["A {mask} film", "Watch {mask}!", "A {mask} film"]
    filled = fill(model, tokens, prompts, candidates=["great", "long"])
    assert [entry.prompt for entry in filled] == prompts
    assert filled[0].answers == filled[2].answers
    assert _scores(filled[0]) != _scores(filled[1])


@pytest.mark.clause("FILL-011")
@pytest.mark.parametrize(
    ("prompt", "candidates", "message"),
    [
        (GREAT, [], "no candidates; pass at least one, or omit them"),
        (GREAT, ["man", "  "], "candidate ' ' is not made of ordinary tokens"),
        (GREAT, ["☃"], "candidate '☃' is not made of ordinary tokens"),
        (GREAT, ["man [SEP]"], "candidate 'man [SEP]' is not made of ordinary tokens"),
        (GREAT, ["[MASK]"], "candidate '[MASK]' is not made of ordinary tokens"),
        ("un{mask}", ["able"], "candidate 'able' and the text around the mask join"),
        ("{mask}ing", ["walk"], "candidate 'walk' and the text around the mask join"),
        ("The {mask} {mask}", ["man"], "candidates need a prompt with a single mask"),
        (
            "{mask}" + " a" * 508,
            ["film", "moviegoer"],
            "513 tokens are more than the model's maximum of 512",
        ),
    ],
)
def test_candidate_that_cannot_be_scored(embedded, prompt, candidates, message):
    """A candidate that cannot be scored gives one line that names it."""
    with pytest.raises(ConfigError) as caught:
        fill(*embedded, [prompt], candidates=candidates)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.clause("FILL-012")
@pytest.mark.parametrize("candidates", [None, ["film", "unwatchable"]])
def test_asking_changes_nothing(candidates):
    """Dropout stays off, no gradient is kept, and modes and random state are as before."""
    _, tokens = _tiny("wordpiece")
    model = _bert(len(tokens), hidden_dropout_prob=0.5)
    quiet = fill(model, tokens, [GREAT], candidates=candidates)
    modules = list(model.modules())
    for number, module in enumerate(modules):
        module.training = number % 3 != 0
    modes = [module.training for module in modules]
    seen = []

    def watch(_module, _inputs, output):
        torch.rand(1)  # as an architecture with random attention does
        seen.append(output.logits.requires_grad)

    model.register_forward_hook(watch)
    state = torch.get_rng_state()
    assert fill(model, tokens, [GREAT], candidates=candidates) == quiet
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in modules] == modes
    assert torch.is_grad_enabled()
    assert seen
    assert not any(seen)


@pytest.mark.clause("FILL-012")
def test_a_failure_changes_nothing():
    """When the model fails, its modes and the random state are as before."""
    model, tokens = _tiny("wordpiece")
    model.train()

    def fail(*_):
        torch.rand(1)
        raise RuntimeError("out of order")

    model.register_forward_hook(fail)
    state = torch.get_rng_state()
    with pytest.raises(ModelError, match="the model fails on a prompt of .* out of order"):
        fill(model, tokens, [GREAT])
    assert model.training
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.is_grad_enabled()


@pytest.mark.clause("FILL-012")
@pytest.mark.clause("FILL-013")
@pytest.mark.clause("LOSS-008")
@pytest.mark.parametrize("family", VARIANTS)
def test_a_prompt_does_not_decide_what_the_model_is(family):
    """The next answers, of a long prompt, are those of a model that was asked nothing before."""
    tokens = tokenizer("wordpiece")
    models = [variant(family, vocab_size=len(tokens)) for _ in range(2)]
    long = "{mask}" + "!" * (max_length(models[0], tokens) - 3)
    short = "a {mask}"
    torch.manual_seed(1)
    configured = models[0].config.to_dict()
    fill(models[0], tokens, [short])
    assert models[0].config.to_dict() == configured
    torch.manual_seed(2)
    [alone] = fill(models[1], tokens, [long])
    both = fill(models[0], tokens, [long, short, long])
    assert both[0] == both[2]
    assert [one.token for one in both[0].answers] == [one.token for one in alone.answers]
    assert _scores(both[0]) == pytest.approx(_scores(alone), rel=1e-5)


@pytest.mark.clause("FILL-012")
def test_tokenizer_is_left_as_it_is():
    """Truncation and padding that a tokenizer.json asks for neither cut the prompt nor go."""
    model, _ = _tiny("wordpiece")
    backend = _copy("wordpiece")
    backend.enable_truncation(4)
    backend.enable_padding(length=16)
    tokens = PreTrainedTokenizerFast(tokenizer_object=backend, **SPECIAL)
    before = tokens.backend_tokenizer.to_str()
    [filled] = fill(model, tokens, [GREAT])
    [plain] = fill(model, tokenizer("wordpiece"), [GREAT])
    assert filled == plain
    assert tokens.backend_tokenizer.to_str() == before


_WORDS = st.sampled_from(["this", "is", "a", "great", "film", "story", "{mask}", "1999", "!"])
_PROMPTS = st.lists(_WORDS, max_size=12).map(lambda words: " ".join([*words, "{mask}"]))


@pytest.mark.clause("FILL-004")
@pytest.mark.clause("FILL-013")
@settings(max_examples=25)
@given(prompts=st.lists(_PROMPTS, max_size=6), room=st.sampled_from([1, 5_000, 2**26]))
def test_answers_do_not_depend_on_the_company(prompts, room):
    """Prompts asked together, in batches of any size, are answered as each alone, in order."""
    model, tokens = _tiny("wordpiece")
    alone = itertools.chain.from_iterable(fill(model, tokens, [prompt]) for prompt in prompts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlmref.evaluation.fill_mask, "_LOGITS_AT_ONCE", room)
        together = fill(model, tokens, prompts)
    for one, other in itertools.zip_longest(alone, together):
        assert (one.prompt, one.mask) == (other.prompt, other.mask)
        assert [answer.score for answer in one.answers] == pytest.approx(
            [answer.score for answer in other.answers], rel=1e-4
        )


@pytest.mark.clause("FILL-013")
def test_batches_keep_to_their_room(monkeypatch):
    """A forward holds no more logits than there is room for, and as many as that allows."""
    model, tokens = _tiny("wordpiece")
    sizes = []
    model.register_forward_hook(lambda _m, _i, output: sizes.append(output.logits.numel()))
    monkeypatch.setattr(mlmref.evaluation.fill_mask, "_LOGITS_AT_ONCE", 3 * 5 * len(tokens))
    fill(model, tokens, ["a film {mask}"] * 5 + ["{mask}"] + ["a film {mask}"] * 2)
    assert sorted(sizes) == [n * len(tokens) for n in (3, 5, 15, 15)]


@pytest.mark.clause("FILL-008")
def test_candidates_share_forwards():
    """Candidates of one piece cost one row together, however many they are."""
    model, tokens = _tiny("wordpiece")
    rows = []
    model.register_forward_hook(lambda _m, _i, output: rows.append(len(output.logits)))
    words = [text for text in tokens.get_vocab() if text.isascii() and text.isalpha()]
    assert len(words) > 20
    fill(model, tokens, [GREAT], candidates=words)
    assert rows == [1]


@pytest.mark.clause("FILL-003")
def test_maximum_of_a_roberta():
    """RoBERTa's two positions that are no positions are not counted as room."""
    tokens = _roberta_like()
    tokens.model_max_length = 10**30
    torch.manual_seed(0)
    model = RobertaForMaskedLM(
        RobertaConfig(
            vocab_size=len(tokens),
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            max_position_embeddings=12,
            pad_token_id=1,
        )
    )
    assert fill(model, tokens, ["{mask}" + "!" * 7])
    with pytest.raises(ConfigError, match="11 tokens are more than the model's maximum of 10"):
        fill(model, tokens, ["{mask}" + "!" * 8])
