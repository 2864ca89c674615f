"""Questions of lesson 02."""

from ..quiz import Question, right, wrong

Question(
    "02.bytes",
    "An app with XLM-R base for German and English must shrink: the 1.1 GB take too long to "
    "download. Where do you cut first?",
    [
        wrong(
            "Half of the neurons",
            "All neurons of the twelve layers are 226 of 1,112 MB. Half of them would save a "
            "tenth, and cost accuracy.",
        ),
        right(
            "The vocabulary",
            "Word embeddings are 69% of base. With the pieces that the course's German and "
            "English sentences use, 1,112 MB become 353, and texts made of kept pieces are "
            "answered as before. Measure the others: they are split differently.",
        ),
        wrong(
            "Half of the heads",
            "The attention of all twelve layers is 113 of 1,112 MB. Half of it would save a "
            "twentieth.",
        ),
        wrong(
            "Set the smallest half of all weights to zero",
            "A zero takes four bytes like any other number, as long as the matrix is stored as "
            "it was. Lesson 03 is about that.",
        ),
    ],
    look="Look at “Three models, one picture”, and at “Prune the vocabulary”.",
)

Question(
    "02.slow_server",
    "Your server with an intent classifier is too slow. You trim its vocabulary to a seventh. "
    "What happens to the time that a sentence takes?",
    [
        wrong(
            "It falls by about as much as the bytes.",
            "Bytes and time lie in different parts. The embeddings hold bytes; the time is spent "
            "on multiplications in the layers.",
        ),
        wrong(
            "It grows: rare words are now split into more pieces.",
            "Longer texts do cost more, but only texts with dropped pieces get longer. For the "
            "same number of tokens the work is the same.",
        ),
        right(
            "Nothing, for the same number of tokens.",
            "Looking up a row costs the same, however many rows there are. Cut where the "
            "multiplications are: neurons, heads, layers. (With a fill-mask head, which scores "
            "every piece, trimming does save time.)",
        ),
    ],
    look="Look at “Prune the vocabulary”.",
)

Question(
    "02.once",
    "A colleague ran the old model once, then the new one once: 44 ms and 31 ms. “1.4 times as "
    "fast.” What do you ask for first?",
    [
        right(
            "Both again, warmed up, in turns, many times, with medians and middle halves",
            "In this lesson two copies of one model differed this much: the first run paid for "
            "the warm-up, and for training mode. Then ask for batch, length and threads as "
            "well.",
        ),
        wrong(
            "More digits: 44.3 and 31.2, say",
            "A single run varies by milliseconds. More digits of it say nothing.",
        ),
        wrong(
            "The number of parameters of both models",
            "It does not say how long a sentence takes: the largest part of XLM-R base's "
            "parameters takes no time at all.",
        ),
        wrong(
            "The mean of three runs of the new model",
            "The old one would still be a single cold run, and one slow moment moves a mean. "
            "Treat both alike.",
        ),
    ],
    look="Look at “Time it wrong”, and at “Time it right”.",
)

Question(
    "02.padding",
    "Sentences of about 11 tokens are all padded to 128. What does the padding cost, on a model "
    "called as in this lesson?",
    [
        wrong(
            "Nothing: the attention mask leaves it out.",
            "The mask keeps words from looking at padding. The matrices are still multiplied "
            "with every place.",
        ),
        wrong(
            "Memory, but hardly any time.",
            "Every padded place goes through all layers like a word. Padded to 128, the lesson's "
            "32 sentences took several times as long as sorted by length.",
        ),
        wrong(
            "About half of the work",
            "Compare 11 with 128: most places are padding, not half of them.",
        ),
        right(
            "About nine tenths of the work",
            "117 of 128 places are padding, and they are multiplied like words. Pad to the "
            "longest of a batch, and sort by length first: the answers stay the same.",
        ),
    ],
    look="Look at “Time it wrong”.",
)
