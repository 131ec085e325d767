"""What Hypothesis draws for the corpus: documents of any text, and files that hold them."""

from hypothesis import strategies as st
from support.corpora import cells, json_lines, parquet

# What formats trip over, beside any other character but surrogates and NUL, which are no text.
_awkward = st.sampled_from(
    ['"', '""', ",", "\t", "\n", "\r\n", "\r", "\ufeff", "\u2028", "\x85", "\x0c", "\\", "'", "#"]
)
_words = st.sampled_from(["007", "NA", "null", "nan", "1e5", "true", "2020-01-01", "{", "a film"])
_any = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
_blank = st.sampled_from(["", " ", "\t", "\u00a0\u3000", "\n"])

documents = st.lists(
    st.builds("".join, st.lists(_awkward | _words | _any, max_size=5)) | _blank, max_size=8
)
"""Some documents, blank ones among them."""

lines = st.lists(
    st.builds("".join, st.lists(_awkward | _words | _any, max_size=5)).map(
        lambda text: text.replace("\n", " ").rstrip("\r")
    )
    | _blank.map(lambda text: text.replace("\n", " ")),
    max_size=8,
)
"""Documents that a line of text can hold."""

line_ends = st.sampled_from(["\n", "\r\n"])
blocks = st.integers(1, 40)
"""Bytes in which files are read."""
batches = st.sampled_from([1, 150, 300, 1_000])
"""Characters after which rows are passed on: one row, some rows, all rows at a time."""


@st.composite
def files(draw, texts):
    """Draw the name and bytes of a file that holds some documents."""
    kind = draw(st.sampled_from(["csv", "tsv", "jsonl", "parquet"]))
    packed = ".gz" if kind != "parquet" and draw(st.booleans()) else ""
    if kind == "parquet":
        content = parquet(texts, row_group_size=draw(st.integers(1, 4)))
    elif kind == "jsonl":
        content = json_lines(texts, line_end=draw(line_ends), escape=draw(st.booleans()))
    else:
        delimiter = {"csv": ",", "tsv": "\t"}[kind]
        line_end, quote = draw(line_ends), draw(st.booleans())
        content = cells(texts, delimiter=delimiter, line_end=line_end, quote=quote)
    if kind != "parquet" and draw(st.booleans()):
        content = "\ufeff".encode() + content
    return f"file.{kind}{packed}", content


labels = st.one_of(
    st.integers(-5, 5),
    st.booleans(),
    st.integers(-5, 5).map(str),
    st.sampled_from([" 1", "1.0", "x", "", "0x1", "1_0", "٣", "9" * 18, "9" * 30, 1.5, None]),
)
"""Labels as JSON values, integers and others."""
