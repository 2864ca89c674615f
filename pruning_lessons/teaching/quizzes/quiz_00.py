"""Questions of lesson 00."""

from ..quiz import Question, right, wrong

Question(
    "00.guess_dice",
    "Dice choose which heads and neurons go, and nothing is trained afterwards. How much can they "
    "remove before the accuracy visibly suffers?",
    [
        wrong(
            "Hardly anything: one part in a hundred, say",
            "That would be so if every part were needed. Neighbouring heads and neurons do much "
            "of the same work, so a loss of a few goes unnoticed.",
        ),
        right(
            "A tenth to a fifth of them; beyond that it starts to hurt",
            "Many parts repeat what others do, and some do next to nothing for this task. That "
            "slack is what all of pruning lives on. But dice find it only by luck.",
        ),
        wrong(
            "About half of them",
            "Half the parts carry more than half of the work that cannot be done without. At a "
            "half, dice ruin this model; a good choice does not.",
        ),
        wrong(
            "Nine tenths: neural networks are mostly padding",
            "With the right parts kept, and repaired or trained afterwards, one can go far. With "
            "dice and no training nothing of the kind holds.",
        ),
    ],
    look="Look at “How much can dice take?”.",
    predict=True,
)

Question(
    "00.masked_time",
    "You multiply half of the neurons by zero, with `masked`. What happens to the time that a "
    "sentence takes?",
    [
        wrong(
            "It falls by about half.",
            "Half of the neurons no longer matter, but the model still computes all of them and "
            "then multiplies their results by zero.",
        ),
        wrong(
            "It falls, though by less than half.",
            "That is what happens to a pruned model, whose matrices are smaller. Under masks "
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
    predict=True,
)

Question(
    "00.output_matrix",
    "You remove a head. Query, key and value lose its rows. What of the attention's output matrix "
    "goes?",
    [
        right(
            "The columns that read the head's results",
            "Output is multiplied with what all heads made, side by side. A column of it waits "
            "for one of these numbers; without the number there is nothing to multiply.",
        ),
        wrong(
            "The same rows as in query, key and value",
            "Rows of output make the numbers of the token's vector, which every later part "
            "reads. All of them stay.",
        ),
        wrong(
            "Nothing, since it belongs to no head",
            "Then it would have columns for numbers that no longer come, and the shapes would "
            "not fit.",
        ),
        wrong(
            "Its bias",
            "The bias is added once, whatever heads there are. A forgotten or removed bias is a "
            "common reason why masked and pruned models differ.",
        ),
    ],
    look="Look at the picture in “What is cut”.",
)

Question(
    "00.exact",
    "The masked model and the pruned model gave the same answers, to rounding. What does that "
    "show?",
    [
        right(
            "That the surgery was exact: it removed what the masks said, and nothing else.",
            "Two ways to take the same parts out agree. Whether those were the right parts shows "
            "only in the accuracy.",
        ),
        wrong(
            "That pruning cost no accuracy.",
            "Both models lack the same parts, so both make the same mistakes. Compare with the "
            "whole model, on the same sentences.",
        ),
        wrong(
            "That the removed heads and neurons were not needed.",
            "Then the pruned model would answer as the whole one does. It was compared with the "
            "masked one, which has lost the same parts.",
        ),
        wrong(
            "That both are equally fast.",
            "Answers say nothing about time. The masked model was as slow as the whole one, and "
            "the pruned one faster.",
        ),
    ],
    look="Look at “Throw the dice”, and at “Is it still right?”.",
)

Question(
    "00.what_is_left",
    "Half of the heads and half of the neurons are gone, yet well over half of the parameters are "
    "still there. Why?",
    [
        wrong(
            "The removed weights are still stored, as zeros.",
            "That would be a masked model. `prune` cuts rows and columns out: the table of "
            "layers shows smaller matrices.",
        ),
        wrong(
            "Layers kept different numbers of heads.",
            "That moves parameters between layers. Over all layers half of the heads stay, and "
            "half of their weights with them.",
        ),
        wrong(
            "Biases and LayerNorms cannot be pruned.",
            "Some of them stay whole, but they are vectors: tiny beside matrices.",
        ),
        right(
            "The word embeddings were not touched.",
            "They hold about a quarter of the whole model's parameters, and a larger share of "
            "what is left. Lesson 02 is about them.",
        ),
    ],
    look="Compare the two summaries, in “Measure before you cut” and “Throw the dice”.",
)

Question(
    "00.luck",
    "On the same 600 sentences the whole model gets 95.0% right, and a pruned model 95.5%. Has "
    "pruning made the model better?",
    [
        wrong(
            "Yes: 95.5 is more than 95.0.",
            "Half a point of 600 sentences is three sentences. Three more might have gone the "
            "other way.",
        ),
        right(
            "These sentences cannot tell.",
            "Each accuracy has a standard error of about 0.9 points, √(0.95 · 0.05 / 600). On "
            "the same sentences a difference is a little surer than that, but three sentences "
            "are still three sentences.",
        ),
        wrong(
            "No: a model with fewer parts is always worse.",
            "It need not be: some parts do nothing for a task, and a few do harm. But it takes "
            "more sentences to see a difference this small.",
        ),
    ],
    look="Look at “Measure before you cut”.",
)

Question(
    "00.which_cut",
    "You must halve the milliseconds on an ordinary CPU. Which of these does not help?",
    [
        wrong(
            "Removing heads and neurons",
            "Their rows and columns go, so every matrix product gets smaller, on any machine.",
        ),
        wrong(
            "Removing whole layers",
            "This is the surest way to save time: a layer that is gone starts no operation at all.",
        ),
        right(
            "Setting half of all single weights to zero",
            "The matrices keep their shapes, and half zeros are too few for sparse formats to "
            "win. Lesson 03 measures it.",
        ),
    ],
    look="Look at “A map”.",
)
