"""Questions of lesson 02."""

from ..quiz import Question, right, wrong

Question(
    "02.guess_largest",
    "XLM-R base has twelve layers and a vocabulary of 250,002 pieces. Which part of it holds the "
    "most bytes?",
    [
        wrong(
            "The attention of the twelve layers",
            "Attention is what the model is famous for, but it has only four square matrices a "
            "layer: about a tenth of the bytes.",
        ),
        wrong(
            "The feed-forward parts of the twelve layers",
            "They are twice as large as attention, and do most of the work. Still they hold only "
            "about a fifth of the bytes.",
        ),
        right(
            "The word embeddings",
            "A row of 768 numbers for each of 250,002 pieces: about seven tenths of the bytes. "
            "Then see in the second picture how much of the work they do.",
        ),
        wrong(
            "None: the parts are about equally large",
            "Far from it. Multiply the number of pieces by the length of a row, 768, and compare "
            "with the few million numbers in a layer.",
        ),
    ],
    look="Look at “Three models, one picture”.",
    predict=True,
)

Question(
    "02.guess_copy",
    "One call of the old model, then one call of its copy, on the same sentence. What will the "
    "clock say?",
    [
        wrong(
            "The same, to a tenth of a millisecond: the weights are the same.",
            "The same work does not take the same time. Not even two calls of one model do.",
        ),
        right(
            "The copy looks clearly faster.",
            "The old model is called first, in training mode. It pays for the warm-up and for "
            "dropout; the copy does not. Nothing about the model has changed. (On a busy machine "
            "one call each can say anything.)",
        ),
        wrong(
            "The copy looks slower: copying spreads the weights over memory.",
            "A copied weight is one block of memory, like the original. Ask what differs between "
            "a first call and a second one.",
        ),
    ],
    look="Look at “Time it wrong”.",
    predict=True,
)

Question(
    "02.guess_padding",
    "Sentences of about 11 tokens are all padded to 128. How much of the work is then done for "
    "padding?",
    [
        wrong(
            "None: the attention mask leaves it out.",
            "The mask keeps words from looking at padding. Every matrix is still applied to every "
            "place.",
        ),
        wrong(
            "It costs memory, but hardly any time.",
            "Every padded place goes through all layers like a word. Padded to 128, the lesson's "
            "32 sentences take several times as long as sorted by length.",
        ),
        wrong(
            "About half of it",
            "Compare 11 with 128: most places are padding, not half of them.",
        ),
        right(
            "About nine tenths of it",
            "117 of 128 places are padding, and they are multiplied like words. Pad to the "
            "longest of a batch, and sort by length first: the answers stay the same.",
        ),
    ],
    look="Look at “Padding, the free win”.",
    predict=True,
)

Question(
    "02.guess_base",
    "The same surgery on XLM-R base, which weighs 1,112 MB: of its 250,002 pieces only those stay "
    "that German and English requests to a smart home need. How large is it then?",
    [
        wrong(
            "About 1,000 MB",
            "Word embeddings are about seven tenths of this model's bytes, and only about one "
            "piece in a hundred stays.",
        ),
        wrong(
            "About 700 MB",
            "Nearly all rows of the embeddings go, not half of them. What is left is the layers.",
        ),
        right(
            "About 350 MB",
            "Of the 768 MB of word embeddings only some ten are left. The rest, the layers, is "
            "as before. A third of the size, and texts made of kept pieces get the same answers.",
        ),
        wrong(
            "About 10 MB",
            "That would be the embeddings alone. The twelve layers are still there, with more "
            "than 300 MB.",
        ),
    ],
    look="Look at “Three models, one picture”.",
    predict=True,
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
    look="Look at “What it costs”.",
)

Question(
    "02.once",
    "A colleague ran the old model once, then the new one once: 44 ms and 31 ms. “1.4 times as "
    "fast.” What do you ask for first?",
    [
        right(
            "Both again, warmed up, in turns, many times, compared in pairs",
            "In this lesson a model and its own copy differed, too: the first run paid for the "
            "warm-up, and for training mode. Then ask for batch, length and threads as well.",
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
    "02.gpu",
    "On a GPU you measure 0.4 ms for one sentence, and 0.4 ms for a batch of 256, with warm-up "
    "and medians. What is the likeliest reason?",
    [
        wrong(
            "The GPU computes the sentences of a batch all at once.",
            "It does compute many at once, but 256 sentences are 256 times the work. Once the GPU "
            "is fully busy, the time must grow.",
        ),
        right(
            "The clock was read before the GPU had finished.",
            "Calls return at once, and the GPU works on. 0.4 ms is the time that Python needs to "
            "ask, whatever the batch. Call `torch.cuda.synchronize()` before you start the clock "
            "and before you read it, or use `torch.utils.benchmark`.",
        ),
        wrong(
            "The batch was padded.",
            "Padding would make it slower still. Ask what the clock has measured.",
        ),
        wrong(
            "Warm-up is missing after all.",
            "A missing warm-up makes the first call slow. Here a large batch is suspiciously fast.",
        ),
    ],
    look="Look at “Time it wrong”.",
)

Question(
    "02.finnish",
    "Not one Finnish sentence was in the list, and yet the trimmed model still answers some "
    "Finnish sentences correctly. Why?",
    [
        wrong(
            "The Finnish pieces are still in the tokenizer, without a row in the table.",
            "Tokenizer and table are cut together: a piece without a row would be an error.",
        ),
        wrong(
            "Pieces that are gone become unknown, and the model guesses from the rest.",
            "Hardly anything becomes unknown: all letters of the Latin script were kept.",
        ),
        right(
            "Finnish words are spelled with the Latin letters and short pieces that stayed.",
            "Some words and names are shared with the kept languages, and the model can do "
            "something with letters. A language in a script of its own would fare worse.",
        ),
        wrong(
            "The layers remember the Finnish pieces.",
            "The layers are unchanged, but they only see what the embeddings give them, and those "
            "rows are gone.",
        ),
    ],
    look="Look at “What it costs”.",
)
