"""Measure the figures of the README: ``python figures.py``; needs mlmref and mlmref-jieba."""

from __future__ import annotations

from time import perf_counter

from mlmref_jieba import JiebaOptions, JiebaSegmenter

TEXTS = [
    "这部电影的演员表演得非常出色，导演的手法也很特别。",
    "昨天晚上我和朋友一起去电影院看了一部老片子。",
    "故事发生在三十年代的上海，音乐和服装都很讲究。",
    "如果你喜欢安静的音乐，就不要错过这张专辑！",
    "孩子们在公园里跑来跑去，老人坐在树下聊天。",
]


def main() -> None:
    """Load the dictionary, then segment half a million characters with and without ``hmm``."""
    for hmm in (True, False):
        segmenter = JiebaSegmenter(JiebaOptions(hmm=hmm))
        begin = perf_counter()
        list(segmenter.segment(["电影"]))
        if hmm:
            print(f"the first text takes {perf_counter() - begin:.1f} s")
        texts = ["".join(TEXTS)] * 4_500
        begin = perf_counter()
        words = sum(map(len, segmenter.segment(texts)))
        seconds, size = perf_counter() - begin, sum(map(len, texts))
        print(f"hmm = {hmm}: {size / seconds / 1e3:,.0f} thousand characters a second", end="")
        print(f", {size / words:.2f} characters a word")


if __name__ == "__main__":
    main()
