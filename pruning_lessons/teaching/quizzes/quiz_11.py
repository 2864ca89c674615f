"""Questions of lesson 11."""

from ..quiz import Question, right, wrong

Question(
    "11.guess_cosine",
    "You embed two unrelated sentences with this model. What is the cosine of their "
    "vectors, roughly?",
    [
        wrong(
            "0: unrelated means perpendicular.",
            "Random vectors in 384 dimensions are nearly perpendicular. Those of a trained model "
            "are not random: they share a large common part.",
        ),
        right(
            "0.8",
            "E5's training only asked that the right sentence comes out ahead of others, at a low "
            "temperature, where a small lead is enough. All vectors lie in a narrow cone. Compare "
            "cosines with each other, not with zero.",
        ),
        wrong(
            "0.4",
            "Some embedders are like that. How wide the vectors spread depends on the training, "
            "so a threshold from one model is no use for another.",
        ),
        wrong(
            "−0.8: unrelated means opposite.",
            "Nothing asks unrelated sentences to be opposites. And a sentence has many unrelated "
            "ones: they cannot all be opposite to each other.",
        ),
    ],
    look="Look at “A vector for a sentence”.",
    predict=True,
)

Question(
    "11.guess_harder",
    "Cut to a third of its multiply-accumulates and repaired, the classifier of intents kept "
    "nearly all of its answers. How does the embedder's retrieval fare, cut alike?",
    [
        right(
            "Clearly worse.",
            "A classifier tells a few dozen intents apart, most of them by a wide margin. "
            "Retrieval has to find one sentence among a hundred, many of them nearly alike: a "
            "small turn of a vector brings another one to the top.",
        ),
        wrong(
            "About as well: encoder and cut are the same.",
            "The encoder has the same shape. But how much damage shows depends on how fine a "
            "difference the task asks for.",
        ),
        wrong(
            "Better: without labels there is less to lose.",
            "No labels are needed to choose what goes. What the vectors must tell apart is more "
            "than before, not less.",
        ),
    ],
    look="Look at “Cut and repair”.",
    predict=True,
)

Question(
    "11.guess_truncate",
    "You keep the first quarter of each vector's numbers, scale to length 1 again, and throw the "
    "rest away. How much of the retrieval is left?",
    [
        wrong(
            "About a quarter",
            "The numbers overlap in what they say. With a quarter of them the order of the "
            "cosines is still mostly right.",
        ),
        wrong(
            "Nearly all: the first numbers hold most of the meaning.",
            "In a model trained for it they do (Matryoshka). In this one nothing sets the first "
            "numbers apart from the others.",
        ),
        right(
            "Most of it, but clearly less; any other quarter would do as well.",
            "Training treated all numbers alike, so the first quarter is as good as a random "
            "one. A quarter of the axes gives a rougher estimate of each cosine, and near rivals "
            "overtake.",
        ),
        wrong(
            "Nothing: a vector cut short is no vector of this model.",
            "Dot products of the parts still estimate dot products of the whole, only with more "
            "noise.",
        ),
    ],
    look="Look at “Smaller vectors”.",
    predict=True,
)

Question(
    "11.no_labels",
    "Fisher scores need a gradient, and an embedder has no labels. Where does the gradient come "
    "from?",
    [
        wrong(
            "From 1 − cosine between the model's vector and that same vector",
            "At the whole model this is zero, its smallest value. So its gradient is zero for "
            "every gate and ranks nothing.",
        ),
        wrong(
            "From the fill-mask loss on the same sentences",
            "That scores what another head on the encoder would miss. It is not what the vectors "
            "miss.",
        ),
        right(
            "From targets drawn at random around the model's own vector",
            "The squared gradient, averaged over draws, tells how far a gate moves the vector, in "
            "any direction. Neither labels nor translations are needed.",
        ),
        wrong(
            "From pairs of translations, drawn together as in training",
            "That would work, but takes parallel sentences. The scores here use single "
            "sentences, so that texts from your logs will do.",
        ),
    ],
    look="Look at “Scores without labels”.",
)

Question(
    "11.index",
    "Your search index holds a million vectors from the original embedder. You put the pruned one "
    "in for the queries, and keep the index. What should you expect?",
    [
        right(
            "It runs without an error, and ranking may get worse: measure, or embed anew.",
            "A repaired model stays near the original's vectors, so a mixed search can work. But "
            "queries now deviate and documents do not: nobody knows by how much until it is "
            "measured.",
        ),
        wrong(
            "An error: the vectors no longer fit the index.",
            "They still have 384 numbers. Heads, neurons and layers can go without changing the "
            "size of the output, so nothing will warn you.",
        ),
        wrong(
            "Exactly the ranking of the original",
            "Only a cut without any loss would give that. Every change of a query's vector can "
            "exchange two documents with similar cosines.",
        ),
        wrong(
            "Useless results: vectors of two models have nothing in common.",
            "That is so for models that were trained apart. This one was cut from the other and "
            "refitted to its states.",
        ),
    ],
    look="Look at “A small search”.",
)

Question(
    "11.other_language",
    "You trim the vocabulary to what English, German and French sentences use. A user searches in "
    "Russian. What happens?",
    [
        wrong(
            "The tokenizer stops with an error.",
            "It never does: what it does not know becomes the unknown piece. That is why the loss "
            "is easily overlooked.",
        ),
        wrong(
            "Russian works as before, since the encoder's layers were not touched.",
            "The layers still know what to do with Russian pieces. But they never get any: their "
            "rows of the embedding are gone.",
        ),
        wrong(
            "Russian is spelled letter by letter, which is slower but finds the same.",
            "Single letters stay only for the scripts that were kept. And even Italian, which "
            "does have its letters, gets other pieces and other vectors.",
        ),
        right(
            "A vector comes out, mostly of unknown pieces, and the results are poor.",
            "The Cyrillic letters are gone, so nearly every word becomes the unknown piece. No "
            "error tells you. Check which languages come in before you trim.",
        ),
    ],
    look="Look at “A vocabulary for three languages”.",
)

Question(
    "11.index_size",
    "A million documents, 384 numbers each in float32: an index of 1.5 GB. Which step makes the "
    "index smaller?",
    [
        wrong(
            "Pruning half of the embedder's heads and neurons",
            "The model gets smaller and faster, its output stays 384 numbers wide. The index "
            "does not notice.",
        ),
        right(
            "Storing each vector's numbers in 8 bits",
            "It takes a quarter of the bytes, and costs little: what counts is the order of the "
            "cosines. Measure it on your own documents, as always.",
        ),
        wrong(
            "Quantising the embedder to int8",
            "Its weights take a quarter of the bytes. But the vectors that it gives are still "
            "float32 numbers.",
        ),
        wrong(
            "Trimming the embedder's vocabulary",
            "The model's file gets smaller, for word embeddings are a large part of it. But "
            "documents are stored as vectors, not as pieces.",
        ),
    ],
    look="Look at “Smaller vectors”.",
)

Question(
    "11.candidates",
    "In the lesson each language is searched among 100 sentences of its own. You measure again "
    "with all that there are: 236 in Thai, 439 in Finnish. What happens to the figures?",
    [
        wrong(
            "Nothing: a share of right answers does not depend on how many there are.",
            "That holds where every question stays the same task. Here each further sentence is "
            "also one more candidate to be confused with.",
        ),
        right(
            "They fall, Finnish more, and become more certain.",
            "More candidates make it harder, and more sentences make the mean surer. So a figure "
            "says nothing without its number of candidates; compare each language with itself.",
        ),
        wrong(
            "They rise, since there are more chances to find the right one.",
            "Every sentence still has one right translation, and now more wrong ones beside it.",
        ),
        wrong(
            "They become more certain, and change in no direction.",
            "The standard error gets smaller, that is right. But the number of candidates grows "
            "too, and with it the difficulty.",
        ),
    ],
    look="Look at “Retrieval in 22 languages”.",
)
