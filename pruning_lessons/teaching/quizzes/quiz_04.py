"""Questions of lesson 04."""

from ..quiz import Question, right, wrong

Question(
    "04.guess_magnitude",
    "For single weights, magnitude was far better than a random choice. Now whole neurons are "
    "removed, and 40% of them stay: chosen at random, by magnitude (the norm of a neuron's input "
    "weights times the norm of its output weights), or by a gradient score. Which choice keeps "
    "the most accuracy?",
    [
        wrong(
            "Magnitude, as for single weights",
            "Single weights range from almost zero to large, so their size tells them apart. A "
            "neuron's norm is taken over hundreds of weights, among which large and small even "
            "out: most neurons come out much alike.",
        ),
        right(
            "The gradient scores, by far; magnitude is about as poor as a random choice.",
            "A norm says how much a neuron could write. How much it does write depends on its "
            "inputs, and whether that matters depends on what comes after. Gradients of the "
            "loss know both. (Random choices differ widely from each other: look at more "
            "than one.)",
        ),
        wrong(
            "The gradient scores, with magnitude halfway between them and a random choice",
            "A reasonable guess: large weights can write more. But the norms of whole neurons "
            "are much alike, and what sets them apart has little to do with what the answers "
            "need.",
        ),
        wrong(
            "None: models with equally many neurons are about equally good.",
            "They are equally large and equally fast. But which neurons stay decides what a "
            "model can still compute.",
        ),
    ],
    look="Look at “The problem in one picture”.",
    predict=True,
)

Question(
    "04.guess_top_tenth",
    "Add up the Fisher scores of all neurons. How much of this sum belongs to the tenth of the "
    "neurons with the highest scores?",
    [
        right(
            "More than half",
            "The answers depend strongly on a few neurons and hardly at all on many others, "
            "which is why many can go cheaply. Take such scores with some care, all the same: "
            "the gradients are large on few sentences, so a few hard ones have most of the say.",
        ),
        wrong(
            "About a quarter",
            "This is closer to magnitude: norms taken over hundreds of weights are much alike. "
            "Squared gradients are far more unequal.",
        ),
        wrong(
            "About a tenth",
            "Then all neurons would matter about equally, and it would make no difference which "
            "of them you remove.",
        ),
    ],
    look="Look at “Four ways to score”.",
    predict=True,
)

Question(
    "04.two_sentences",
    "At a neuron's gate, the gradient of the loss is +0.4 on one sentence and −0.4 on another. "
    "Can this neuron go without affecting the answers?",
    [
        wrong(
            "Yes: the mean gradient is zero, so the loss does not change.",
            "To first order the mean does not change, but each sentence does: without the "
            "neuron the loss of the first falls by about 0.4 and that of the second rises by as "
            "much. A rise can flip an answer, while a fall gains nothing where the answer was "
            "right anyway.",
        ),
        wrong(
            "No: a gradient of 0.4 is large, and such neurons have to stay.",
            "A single number is neither large nor small. Scores only rank neurons, and the "
            "budget decides how many of them stay.",
        ),
        right(
            "No: both answers depend on it, and its Fisher score of 0.16 shows that.",
            "Squares cannot cancel: (0.4² + 0.4²) / 2 = 0.16. Taylor's mean of absolute values, "
            "0.4, shows it as well. That is why each sentence's gradient is made positive "
            "before averaging.",
        ),
    ],
    look="Look at “Four ways to score”.",
)

Question(
    "04.scan_adds_up",
    "A scan removes half of the neurons of one layer at a time. In none of the twelve layers does "
    "that cost more than four points. What do you know about a model in which all twelve layers "
    "lose half?",
    [
        wrong(
            "It loses at most four points, since each of these cuts has been tested.",
            "Each was tested with the eleven other layers whole. Cut together, every layer "
            "receives inputs that the cuts before it have already changed.",
        ),
        right(
            "Very little: you have to measure that model.",
            "Errors pile up on the way through the network, and no intact layer is left to "
            "compensate. A scan compares layers: it says who is sensitive, not how much all can "
            "lose at once.",
        ),
        wrong(
            "It loses the sum of the twelve losses.",
            "As a first guess this is not bad, but losses do not simply add up: errors can "
            "amplify each other or cancel. And accuracy moves only when an answer flips, so many "
            "small shifts can stay unseen until they come together.",
        ),
        wrong(
            "Nothing, and so there is no use in scanning layer by layer.",
            "The scan still ranks the layers by how sensitive they are, which helps to share out "
            "a budget. It is only the total that cannot be read from it.",
        ),
    ],
    look="Look at “Which layer is sensitive?”.",
)

Question(
    "04.one_list",
    "All neurons of the model are ranked in one list, and the best stay. Why is this safer with "
    "Fisher scores than with magnitude?",
    [
        wrong(
            "Fisher scores are normalised within each layer.",
            "They are not. If they were, the list could no longer see that the neurons of one "
            "layer matter more than those of another.",
        ),
        wrong(
            "With Fisher scores, every layer keeps about the same number.",
            "Look at who gets the neurons: by Fisher the layers keep very different numbers. "
            "Equal numbers are what `even=True` gives.",
        ),
        wrong(
            "It is no safer: LayerNorm brings all layers to the same scale.",
            "LayerNorm rescales the sum of what enters the layer and what the layer adds. If the "
            "layer adds little, that stays little beside the rest. So the norms of weights do "
            "not become comparable.",
        ),
        right(
            "Fisher scores have the same meaning in every layer.",
            "All of them come from derivatives of one loss. Norms of weights have no common "
            "unit: what a norm of 1 achieves depends on the layer's inputs and on everything "
            "that follows, and so magnitude can starve a layer that is needed.",
        ),
    ],
    look="Look at “Choose under a budget”.",
)

Question(
    "04.work_left",
    "In a model the neurons do two thirds of the work, and everything else does one third. Three "
    "quarters of the neurons are removed. How much of the work is left?",
    [
        wrong(
            "A quarter",
            "That is what is left of the neurons' own work. The third that the other parts do "
            "has not changed.",
        ),
        wrong(
            "A third",
            "That would be left with no neurons at all. It is the limit that this lesson cannot "
            "pass (Amdahl's law).",
        ),
        right(
            "Half",
            "1/3 + 1/4 · 2/3 = 1/2. Expect the time to fall by somewhat less, for starting each "
            "operation takes time as well.",
        ),
        wrong(
            "Five sixths",
            "That would be left if one quarter of the neurons went: 1 − 1/4 · 2/3 = 5/6. Here "
            "three quarters go.",
        ),
    ],
    look="Look at “Remove them for real”.",
)

Question(
    "04.bias_left",
    "You set row j of the first feed-forward matrix to zero, and leave the neuron's bias b_j and "
    "its column of the second matrix as they are. Is the neuron gone?",
    [
        right(
            "No: it still adds GELU(b_j) times its column to every token.",
            "Its activation no longer depends on the input, but it is not zero. Set the bias to "
            "zero as well, or the column. `prune` cuts out all three: row, bias and column.",
        ),
        wrong(
            "Yes: with a row of zeros its activation is zero.",
            "Its activation is GELU(0 · x + b_j) = GELU(b_j), and that is zero only if the bias "
            "is zero.",
        ),
        wrong(
            "Yes: what it adds is now a constant vector, and LayerNorm removes constants.",
            "LayerNorm subtracts one number from a token's vector, the mean over its features. "
            "The neuron adds its column, with a different number for each feature, and "
            "subtracting one number does not undo that.",
        ),
        wrong(
            "No: the two matrices have kept their size.",
            "That is why no time is saved. But a neuron can be gone without it: under a mask the "
            "matrices keep their size, too, and what the neuron writes is exactly zero.",
        ),
    ],
    look="Look at “What a neuron is”.",
)
