"""Chinese prose with words that everybody agrees on, and a tokenizer as BERT has for Chinese."""

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

SIMPLIFIED = {
    "这部电影的演员表演得非常出色，导演的手法也很特别。": "电影 演员 表演 非常 出色 导演 手法 特别",
    "昨天晚上我和朋友一起去电影院看了一部老片子。": "昨天晚上 朋友 一起 电影院",
    "故事发生在三十年代的上海，音乐和服装都很讲究。": "故事 发生 年代 上海 音乐 服装 讲究",
    "他研究生物化学，毕业以后在医院工作。": "毕业 以后 医院 工作",
    "如果你喜欢安静的音乐，就不要错过这张专辑！": "如果 喜欢 安静 音乐 不要 错过 专辑",
    "剧本写得很糟糕，演员们也没有办法。": "剧本 糟糕 演员 没有 办法",
    "孩子们在公园里跑来跑去，老人坐在树下聊天。": "公园 老人 聊天",
    "我们都觉得这个故事的结局太突然了。": "我们 觉得 这个 故事 结局 突然",
    "经济发展很快，城市里的高楼越来越多。": "经济 发展 很快 城市 高楼 越来越",
    "北京的冬天又冷又干燥，但是阳光很好。": "北京 冬天 干燥 但是 阳光",
}
"""Sentences, and words of more than one character in each."""

TRADITIONAL = {
    "今天的天氣很好，我們去公園散步吧。": "今天 散步",
    "圖書館裡有很多關於地理的書。": "很多 地理",
    "這位導演的新作品非常成功。": "導演 作品 非常 成功",
}
"""The same in traditional characters, of which jieba's own dictionary knows fewer words."""

MIXED = {
    "我在Netflix上看了iPhone的广告。": "Netflix iPhone 广告",
    "这部film讲的是New York的naïve艺术家。": "film New York naïve 艺术家",
    "他说“Отличный фильм”，然后笑了。": "Отличный фильм 然后",
}
"""With other scripts among them."""

PROSE = SIMPLIFIED | TRADITIONAL | MIXED
SPECIAL = {
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "mask_token": "[MASK]",
}


def tokenizer():
    """Return a tokenizer whose words are single Chinese characters."""
    characters = sorted({character for text in PROSE for character in text.lower()})
    pieces = [*SPECIAL.values(), *characters, *(f"##{character}" for character in characters)]
    ids = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    backend = Tokenizer(models.WordPiece(ids, unk_token=SPECIAL["unk_token"]))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(name, ids[name]) for name in ("[CLS]", "[SEP]")]
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, **SPECIAL)


def save_model(folder):
    """Save a tiny model with that tokenizer."""
    torch.manual_seed(0)
    words = tokenizer()
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=40,
        pad_token_id=words.pad_token_id,
    )
    BertForMaskedLM(config).save_pretrained(folder)
    words.save_pretrained(folder)
