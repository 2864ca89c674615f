"""Questions of lesson 05."""

from ..quiz import Question, right, wrong

Question(
    "05.guess_repair",
    "Only a fifth of the neurons stay, and accuracy falls. Now the output matrices are refitted by "
    "least squares on a few hundred sentences, with no labels and no training. How much of the "
    "lost accuracy comes back, in the languages of those sentences?",
    [
        wrong(
            "None: without labels nothing can be learned about the task.",
            "The whole model knows the task. Repair makes each layer give again what the whole "
            "model's layer gave, and for that no label is needed.",
        ),
        wrong(
            "Less than half: four fifths of the neurons are gone for good.",
            "The neurons are gone, but not all of what they wrote. Much of it can be predicted "
            "from the activations of those that stay.",
        ),
        right(
            "More than half",
            "Much of what the removed neurons wrote can be predicted from the activations of "
            "those that stay. Least squares finds the combination that comes closest. Look at "
            "the picture.",
        ),
        wrong(
            "All of it: least squares is exact.",
            "It finds exactly the best output weights, but even the best cannot write what the "
            "remaining activations do not contain. (On a small test set, a repaired model may "
            "do as well as the whole one by luck.)",
        ),
    ],
    look="Look at “Repair the whole model”.",
    predict=True,
)

Question(
    "05.guess_lambda",
    "We fit new output weights to a few sentences, with smaller and smaller λ, and measure the "
    "error on other sentences. What happens to it as λ falls?",
    [
        wrong(
            "It keeps falling: the smaller λ, the freer the fit.",
            "That is the curve for the fitted sentences. Part of this freedom goes into fitting "
            "accidents of these few sentences, and others do not share them.",
        ),
        right(
            "It falls, reaches a lowest point and rises again.",
            "A large λ holds the weights at their old values, so little is repaired. A small one "
            "lets them fit accidents of the few sentences: they overfit. The best λ lies between. "
            "It has to be chosen on sentences that were not fitted.",
        ),
        wrong(
            "It rises from the start: the old weights came from training.",
            "They were trained with all neurons there. Now most neurons of the layer are gone, "
            "and weights that make up for them do better than the old ones.",
        ),
        wrong(
            "It hardly changes: λ is there only to make the system solvable.",
            "It does that, too. But above all it decides how far the weights may move from their "
            "old values, and with few sentences this matters.",
        ),
    ],
    look="Look at “Repair one matrix by hand”.",
    predict=True,
)

Question(
    "05.guess_obs",
    "Two choices of a fifth of the neurons. Fisher asks what is lost when a neuron goes and the "
    "others stay as they are; OBS asks what is lost when the others have made up for it. Which "
    "model is closer to the whole one?",
    [
        wrong(
            "The one by Fisher, before repair and after it",
            "Before repair it may be. But where two neurons say the same, Fisher may keep both, "
            "although one of them would do after repair.",
        ),
        wrong(
            "There is no difference once both are repaired.",
            "Repair brings choices closer together, but it cannot write what no remaining "
            "neuron knows. OBS keeps those whose work the others cannot do.",
        ),
        right(
            "After repair the one by OBS, whatever it is before",
            "OBS optimises for the model after repair, so that is where it has to be better. "
            "Before repair it may do better or worse: it counts on a repair that has not been "
            "done yet.",
        ),
    ],
    look="Look at “Choose for the model after repair”.",
    predict=True,
)

Question(
    "05.twins",
    "Two neurons of a layer have the same activation at every token. Their output columns u and v "
    "are different, and both are long. The neuron with v is removed. What can repair do?",
    [
        wrong(
            "Little: half of what the two wrote is lost.",
            "What the lost neuron wrote was its activation times v. The activation is still "
            "there: the other neuron has the same.",
        ),
        wrong(
            "Double u.",
            "That would be right only if u and v were equal. The two wrote a · u + a · v "
            "together, with a for their activation, and not 2a · u.",
        ),
        wrong(
            "Move what is missing into the bias.",
            "A bias adds the same to every token, but what is missing changes with the "
            "activation. Only its mean could go there.",
        ),
        right(
            "Replace u by u + v: nothing is lost.",
            "With a for the activation, a · u + a · v = a · (u + v), and least squares finds it, "
            "up to the pull of λ. A score that leaves the others as they are cannot see this. "
            "Optimal Brain Surgeon can: it asks what a removal costs after the others have "
            "made up for it.",
        ),
    ],
    look="Look at “Repair one matrix by hand”.",
)

Question(
    "05.no_labels",
    "You have thousands of users' sentences, but not a single label. How much of the way can you "
    "go: score, cut, repair, measure?",
    [
        wrong(
            "Repair, after a random cut: every good score needs labels.",
            "Activation needs sentences only. Even for Fisher scores no labels are needed: "
            "`pl.importance` can draw them from the model's own predictions.",
        ),
        right(
            "Score, cut and repair, but not measure accuracy.",
            "Scores can draw labels from the model's own predictions, and the targets of repair "
            "are the whole model's own outputs. Without labels you can still measure how often "
            "the pruned model agrees with the whole one.",
        ),
        wrong(
            "All the way: for accuracy, take the whole model's answers as labels.",
            "That measures how often the pruned model agrees with the whole one: worth knowing, "
            "but where the whole model is wrong, a right answer counts as an error.",
        ),
        wrong(
            "Nowhere: a model must not be changed without labels to check it.",
            "Measure before you ship: a few labelled sentences are worth making. But score, cut "
            "and repair need none of them.",
        ),
    ],
    look="Look at “Repair the whole model”.",
)

Question(
    "05.in_turn",
    "`pl.repair` goes from the first layer to the last, with each layer's inputs taken from the "
    "pruned model and its targets from the whole model. Why not fit all layers independently, "
    "with inputs from the whole model?",
    [
        right(
            "Each layer would be fitted to inputs that it will never get.",
            "Behind a cut, hidden states differ from those of the whole model. Fitted to the "
            "real ones, with the whole model's outputs as targets, a layer also makes up for "
            "part of the errors before it.",
        ),
        wrong(
            "It would make no difference: least squares has one solution.",
            "One solution for given inputs and targets, if λ is above zero. Other inputs give "
            "another solution. What counts is which inputs the layer will meet.",
        ),
        wrong(
            "The repair of a later layer would undo that of an earlier one.",
            "Each fit changes its own output matrix and no other. The trouble is rather that a "
            "layer would know nothing of what the earlier ones now give.",
        ),
        wrong(
            "Fitting the layers independently would need labels.",
            "Neither way needs them: the targets are what the whole model computes inside, "
            "whatever the inputs are taken from.",
        ),
    ],
    look="Look at “Repair the whole model”.",
)

Question(
    "05.chosen_on",
    "You fit with nine values of λ, take the one with the lowest error on sentences that were not "
    "fitted, and report this error. How good an estimate is it?",
    [
        wrong(
            "A fair one: the weights have never seen these sentences.",
            "The weights have not, but λ was chosen by them. The lowest of nine errors is partly "
            "the luckiest of nine.",
        ),
        wrong(
            "Too high: fitted to all these sentences, the weights would do better still.",
            "They might, but they would be other weights. For those that you measured, the "
            "lowest of nine errors is on average below the true one.",
        ),
        right(
            "A little too low.",
            "The same sentences chose λ, and the choice favours whatever suits these sentences. "
            "With nine values the effect is small, but it is easy to avoid: fit on one set, "
            "choose on a second, report on a third.",
        ),
        wrong(
            "A useless one: λ should have been chosen on the fitted sentences.",
            "There the smallest λ always looks best, because those sentences do not reveal "
            "overfitting. It was right to choose on other sentences, and wrong to report the "
            "error on the same ones.",
        ),
    ],
    look="Look at “Repair one matrix by hand”.",
)

Question(
    "05.paper",
    "A paper reports that its score beats magnitude by twenty points at the same budget; neither "
    "model was repaired or trained afterwards. You repair whatever you cut. What do you ask for "
    "first?",
    [
        wrong(
            "A larger test set",
            "For a difference of two points you would need it. Twenty points are hardly luck, but "
            "they were measured in a state in which you will never use a model.",
        ),
        right(
            "The same comparison after repair",
            "Repair brings scores closer together, because it makes up for part of a poor "
            "choice. Compare methods in the state in which you will use them. The new score may "
            "still win, but probably by less.",
        ),
        wrong(
            "Nothing: the better choice before repair is also the better one after it.",
            "Often, but not always, and the margin shrinks. In this lesson a random choice "
            "with repair beat magnitude without it.",
        ),
        wrong(
            "The same comparison at a smaller budget, where differences are larger",
            "Without repair, it would still say nothing about the models that you are going to "
            "use, however large the difference.",
        ),
    ],
    look="Look at “Does the choice still matter?”.",
)
