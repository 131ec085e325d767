"""Hypothesis strategies for word segmenters, and text that is hard on them."""

from hypothesis import strategies as st
from strategies.text import texts
from support.words import Told

_hard = st.sampled_from(
    [
        "电影😀演员",
        "👩‍👩‍👧‍👦 film",  # joined by zero-width joiners
        "e\u0301te\u0301",  # combining accents
        "a\u0327\u0301b",
        "𠮷野家𝒻𝒾𝓁𝓂",  # beyond the BMP
        "ﬁlm №5 ½",  # NFKC makes more characters of one
        "한글 \u1112\u1161\u11ab",  # NFKC makes one of three
        "film[SEP]film",
        "电[MASK]影",
        "New\u3000York \u2028 x",
        " \n\u00a0\u3000",
        "\u200b\ufeff\u0000a",
    ]
)
_text = st.one_of(_hard, texts, st.builds("".join, st.lists(st.one_of(_hard, texts), max_size=4)))


@st.composite
def told(draw):
    """Draw some texts, and a segmenter that has an answer for each of them."""
    documents = draw(st.lists(_text, min_size=1, max_size=6))
    answers = {}
    for text in documents:
        begins = draw(st.sets(st.integers(0, len(text) - 1))) if text else set()
        every = draw(st.sampled_from([None, None, 1, 2, 3]))
        answers[text] = list(range(0, len(text), every)) if every else sorted(begins)
    return documents, Told(answers)
