"""Questions of lesson 00."""

from ..quiz import Question, right, wrong

Question(
    "00.masked_time",
    "You multiply half of the neurons by zero, with `masked`. What happens to the time that a "
    "sentence takes?",
    [
        wrong(
            "It falls by about half.",
            "Half of the neurons matter no longer, but the model still computes all of them and "
            "then multiplies their results by zero.",
        ),
        wrong(
            "It falls, though by less than half.",
            "That is what happened to the pruned model, whose matrices are smaller. Under masks "
            "every matrix keeps its size.",
        ),
        right(
            "It stays the same.",
            "The same matrices are multiplied. Time falls when matrices get smaller, which is "
            "what `prune` does.",
        ),
        wrong(
            "It falls to almost nothing: multiplying by zero is free.",
            "A processor multiplies by zero as it multiplies by anything else. Nobody looks "
            "first whether a number is zero.",
        ),
    ],
    look="Look at “Is it faster?”.",
)

Question(
    "00.exact",
    "The masked model and the pruned model gave the same answers, to rounding. What does that "
    "show?",
    [
        right(
            "That the surgery was exact: `prune` removed what the masks said, and nothing else.",
            "Two ways to take the same parts out agree. Whether those were the right parts shows "
            "only in the accuracy.",
        ),
        wrong(
            "That pruning cost no accuracy.",
            "Both models lack the same parts, so both make the same mistakes. Compare with the "
            "original: 97.5% of the sentences right before, 61.2% after.",
        ),
        wrong(
            "That the removed heads and neurons were not needed.",
            "Then the pruned model would answer as the original does. It was compared with the "
            "masked one, which has lost the same parts.",
        ),
        wrong(
            "That both are equally fast.",
            "Answers say nothing about time. The masked model was as slow as the original, the "
            "pruned one faster.",
        ),
    ],
    look="Look at “Cut at random”, and at “Is it still right?”.",
)

Question(
    "00.what_is_left",
    "Half of the heads and half of the neurons are gone, and still 63% of the parameters are "
    "there. Why not about 50%?",
    [
        wrong(
            "The removed weights are still stored, as zeros.",
            "That would be a masked model. `prune` cuts rows and columns out: the tables of "
            "layers show smaller matrices.",
        ),
        wrong(
            "Layers kept different numbers of heads.",
            "That moves parameters between layers. In all, 72 of 144 heads stay, and half of the "
            "weights of heads with them.",
        ),
        wrong(
            "Biases and LayerNorms cannot be pruned.",
            "Some of them stay whole, but they are vectors: tiny beside matrices.",
        ),
        right(
            "The word embeddings were not touched.",
            "They hold 25% of the original's parameters and 40% of what is left. Lesson 02 is "
            "about them.",
        ),
    ],
    look="Compare the two summaries, before and after.",
)

Question(
    "00.luck",
    "On the same 600 sentences the original gets 95.0% right, and a pruned model 95.5%. Has "
    "pruning made the model better?",
    [
        wrong(
            "Yes: 95.5 is more than 95.0.",
            "Half a point of 600 sentences is three sentences. Each accuracy is uncertain by "
            "about a point.",
        ),
        right(
            "These sentences cannot tell.",
            "At 95% and 600 sentences an accuracy is uncertain by about 0.9 points: √(0.95 · "
            "0.05 / 600). A difference of half a point may be luck.",
        ),
        wrong(
            "No: a model with fewer parts is always worse.",
            "It need not be: some parts do nothing for a task, and a few do harm. But it takes "
            "more sentences to see a difference this small.",
        ),
    ],
    look="Look at “Measure before you cut”.",
)
