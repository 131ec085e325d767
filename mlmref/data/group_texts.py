"""Join tokenized texts and cut them into rows of one size, in ``datasets.map``.

Clauses API-013 to API-016 (spec/python.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from mlmref.base.closest import suggest
from mlmref.base.errors import ConfigError, CorpusError
from mlmref.base.libraries.datasets import in_a_worker, table_of
from mlmref.data.token_columns import Arrays, Lists, TokenColumns, not_tokens

if TYPE_CHECKING:
    import pyarrow as pa

_WHERE = "mlmref.GroupTexts"

Remainder = Literal["drop", "keep"]


class GroupTexts:
    """Join tokenized texts and cut them into rows of one size: the tutorial's ``group_texts``.

    Pass it to ``map`` of a dataset whose columns are lists with one item per token, such as
    ``input_ids``, ``attention_mask``, ``word_ids``, ``special_tokens_mask`` and ``offset_mapping``.
    The tokens that do not fill a row are joined with the next batch, so nothing is lost between
    batches (E06), and the result does not depend on ``batch_size``. The time grows linearly with
    the text (E07).

    >>> import mlmref
    >>> from datasets import Dataset
    >>> tokenizer = mlmref.load_tokenizer()
    >>> texts = Dataset.from_dict({"text": ["A great film.", "A bad film."]})
    >>> tokens = texts.map(lambda one: tokenizer(one["text"]), remove_columns=["text"])
    >>> rows = tokens.map(mlmref.GroupTexts(5), batched=True)
    >>> [tokenizer.decode(ids) for ids in rows["input_ids"]]
    ['[CLS] a great film.', '[SEP] [CLS] a bad film']
    >>> rows = tokens.map(mlmref.GroupTexts(5, remainder="keep", rows=len(tokens)), batched=True)
    >>> [tokenizer.decode(ids) for ids in rows["input_ids"]]
    ['[CLS] a great film.', '[SEP] [CLS] a bad film', '. [SEP]']

    A ``map`` in one process is supported; ``num_proc`` is refused, because each process would have
    a remainder of its own. ``map`` hashes the function when it begins, and the remainder of an
    earlier ``map`` is then forgotten; so is it when the indices of ``with_indices=True`` begin at
    0, which a streaming dataset needs. The cache of ``map`` works, because the hash depends only
    on the arguments.

    Args:
        size: the tokens in a row.
        remainder: ``drop`` drops the last tokens of the dataset if they do not fill a row;
            ``keep`` returns them as a shorter row.
        rows: the number of rows of the dataset, which ``keep`` needs to recognise the end.
        labels: whether to add ``labels``, a copy of ``input_ids`` (T11).

    Raises:
        ConfigError: an argument is invalid.
    """

    def __init__(
        self,
        size: int = 128,
        *,
        remainder: Remainder = "drop",
        rows: int | None = None,
        labels: bool = True,
    ) -> None:
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise ConfigError(f"no size {size!r}", where=_WHERE, hint="give a number of tokens")
        if remainder not in get_args(Remainder):
            hint = suggest(str(remainder), get_args(Remainder))
            raise ConfigError(f"no remainder {remainder!r}", where=_WHERE, hint=hint)
        if remainder == "keep" and rows is None:
            raise ConfigError(
                "remainder='keep' needs the number of rows, to recognise the last one",
                where=_WHERE,
                hint="add rows=len(dataset)",
            )
        self.size = size
        self.remainder = remainder
        self.rows = rows
        self.labels = labels
        self._copied = False
        self._forget()

    def __repr__(self) -> str:
        return f"GroupTexts({self.size}, remainder={self.remainder!r})"

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the arguments only: a new ``map``, and a copy, begin without a remainder."""
        self._forget()
        return _copy, (type(self), self.size, self.remainder, self.rows, self.labels)

    def _forget(self) -> None:
        """Begin a new dataset."""
        self._rest: dict[str, list[Any]] = {}
        self._seen = 0
        self._made = 0

    def __call__(
        self, batch: Mapping[str, Sequence[Any]] | pa.Table, indices: Sequence[int] | None = None
    ) -> Any:
        """Return the rows that a batch completes.

        Args:
            batch: columns with one item per token: lists, or an Arrow table.
            indices: the numbers of the rows in the dataset, of ``with_indices=True``.

        Returns:
            The columns as ``batch`` has them: lists, or an Arrow table, which ``map`` uses.

        Raises:
            ConfigError: the ``map`` runs in several processes, or has more rows than stated.
            CorpusError: a column does not have one item per token; or the dataset, whose number of
                rows is known, does not fill a row.
        """
        self._check_place(indices)
        columns = self._columns(batch)
        self._seen += columns.rows
        if self.rows is not None and self._seen > self.rows:
            raise ConfigError(
                f"the dataset has more than {self.rows:,} rows",
                where=_WHERE,
                hint="give rows=len(dataset) of this dataset",
            )
        ended = self._seen == self.rows
        tokens = sum(columns.sizes("input_ids")) + len(self._rest.get("input_ids", ()))
        whole = tokens // self.size * self.size
        end = tokens if ended and self.remainder == "keep" else whole
        labels = self.labels and "labels" not in columns.names
        grouped, self._rest = columns.cut(self._rest, self.size, end, labels=labels)
        self._made += -(-end // self.size)
        if ended:
            self._end()
        return grouped

    def _columns(self, batch: Mapping[str, Sequence[Any]] | pa.Table) -> TokenColumns:
        """Return the columns of a batch, with as many items in each as in ``input_ids``."""
        table = table_of(batch)
        columns: TokenColumns = Lists(batch, _WHERE) if table is None else Arrays(table, _WHERE)
        if "input_ids" not in columns.names:
            hint = suggest("input_ids", columns.names)
            raise CorpusError("no column 'input_ids'", where=_WHERE, hint=hint)
        sizes = columns.sizes("input_ids")
        for name in columns.names:
            if columns.sizes(name) != sizes:
                raise not_tokens(name, _WHERE)
        if self._rest and self._rest.keys() != set(columns.names):
            other = ", ".join(sorted(self._rest.keys() ^ set(columns.names)))
            raise CorpusError(
                f"only some batches have {other}", where=_WHERE, hint="group one dataset at a time"
            )
        return columns

    def _end(self) -> None:
        """Finish a dataset whose number of rows is known."""
        made, tokens = self._made, len(self._rest["input_ids"])
        self._forget()
        if not made:
            raise CorpusError(
                f"{tokens:,} tokens do not fill one row of {self.size:,}",
                where=_WHERE,
                hint="use remainder='keep' or a smaller size",
            )

    def _check_place(self, indices: Sequence[int] | None) -> None:
        """Begin a new dataset at its first row, and refuse a part of one."""
        if indices is not None and len(indices) and int(indices[0]) == 0:
            self._forget()
        skipped = indices is not None and len(indices) and int(indices[0]) != self._seen
        if skipped or (self._copied and in_a_worker()):
            raise ConfigError(
                "the dataset is mapped in parts, and each would have a remainder of its own",
                where=_WHERE,
                hint="omit num_proc: grouping takes less time than starting processes",
            )


def _copy(
    kind: type[GroupTexts], size: int, remainder: Remainder, rows: int | None, labels: bool
) -> GroupTexts:
    copied = kind(size, remainder=remainder, rows=rows, labels=labels)
    copied._copied = True
    return copied
