"""Questions of lesson 10."""

from ..quiz import Question, right, wrong

Question(
    "10.guess_runtime",
    "A small classifier answers one short text at a time in PyTorch. Which saves more time: "
    "exporting it whole to ONNX int8, or cutting away 70% of its work in PyTorch?",
    [
        wrong(
            "Cutting: less work is less time",
            "It is where multiplying takes most of the time. With a small model and one short "
            "text, PyTorch spends much of it on starting operations, whatever their size.",
        ),
        right(
            "Exporting, though no part is removed",
            "A runtime that knows the whole graph has little overhead per operation, and numbers "
            "of 8 bits are quicker to read and to multiply. So export first, then see whether "
            "you still need to prune.",
        ),
        wrong(
            "About the same",
            "On a large model or a large batch it can be close. Here the overhead decides, and "
            "only the export removes that.",
        ),
    ],
    look="Look at “Choose what to serve”.",
    predict=True,
)

Question(
    "10.guess_language",
    "Suppose that pruning costs every language exactly one point. You test ten "
    "languages on 20 sentences each. What will the worst row of the table most likely say?",
    [
        wrong(
            "About one point lost, as every row",
            "With 20 sentences no row can say that: its accuracy moves in steps of five points.",
        ),
        right(
            "Five points lost, or more",
            "One answer of 20 is five points. Among ten languages at least one will probably lose "
            "an answer by luck, and the worst row shows the unluckiest. So a bad row is a reason "
            "to measure more, not yet a finding.",
        ),
        wrong(
            "Nothing lost: one point of 20 sentences is less than one answer",
            "That is the likeliest result for any one language. The worst of ten is another "
            "matter: it only takes one of them to lose an answer.",
        ),
    ],
    look="Look at “The last word”.",
    predict=True,
)

Question(
    "10.test_twice",
    "Validation chose the pruned model. Then you compare float32 and int8 on the test texts, serve "
    "the better one, and report its test accuracy. What is wrong with that?",
    [
        wrong(
            "Nothing: no weight was trained on the test texts.",
            "Choosing uses data too. The better of two measured accuracies is partly the luckier "
            "one, though no weight has changed.",
        ),
        wrong(
            "The model has now overfitted the test texts and must be trained again.",
            "Its weights are as they were. What is spoilt is the figure, not the model: fresh "
            "texts would give an honest one.",
        ),
        wrong(
            "Test texts may be used for float32 only, since int8 needs calibration.",
            "Dynamic quantisation needs no calibration set. And any form can be tested on them, "
            "once it has been chosen.",
        ),
        right(
            "The test texts helped to choose, so their figure is a little too good.",
            "With two nearly equal candidates the bias is small, but it grows with every look. "
            "Choose the form on validation texts as well, and test what was chosen, once.",
        ),
    ],
    look="Look at “Three sets, no text in two”.",
)

Question(
    "10.fair",
    "The pruned model was distilled for one epoch on your labelled texts and now beats the whole "
    "model by half a point. What is the first thing to check?",
    [
        right(
            "What the same epoch does for the whole model.",
            "The pruned model has seen labelled texts of yours that the whole one has not. Give "
            "both the same training, or distil from the teacher's answers alone, before you say "
            "what pruning cost.",
        ),
        wrong(
            "Whether fewer parameters have made it overfit less.",
            "They can, but there is a plainer explanation: one of the two models got extra "
            "training.",
        ),
        wrong(
            "Whether the teacher was in evaluation mode, since no student can beat its teacher.",
            "It can: labels and new texts may teach it what the teacher does not know. That is "
            "just what makes this comparison unfair.",
        ),
        wrong(
            "Nothing: it is smaller and better, so serve it.",
            "Serving it may be right. But “pruning cost nothing” would be wrong, and the whole "
            "model with the same training may be better still.",
        ),
    ],
    look="Look at “Cut, repair, guard”.",
)

Question(
    "10.guard",
    "On validation texts: cut 64%, repaired 68%, distilled 38%, which is as good as guessing. You "
    "had 300 labelled texts and one epoch. What do you serve?",
    [
        wrong(
            "The distilled model, trained with a smaller learning rate on the validation texts",
            "Then nothing is left to choose with. A smaller rate is a good idea, but on the "
            "calibration texts.",
        ),
        wrong(
            "The cut model: what was added afterwards has done harm.",
            "Only distillation has. Repair won four points, at no risk that you can see here.",
        ),
        right(
            "The repaired model: a step that makes it worse is not kept.",
            "A few dozen steps or fewer can wreck a model, the more so at a high learning rate. "
            "Measure after every step and keep the best; distil longer, with a warm-up, if you "
            "need more.",
        ),
        wrong(
            "A model with a larger share of MACs, since this one cannot be recovered",
            "It has been: repair took it to 68%. What failed is one short training, not the cut.",
        ),
    ],
    look="Look at “Cut, repair, guard”.",
)

Question(
    "10.length",
    "Your texts have 128 tokens, but the budget was split for a length of 24. What is wrong with "
    "the model that comes out?",
    [
        wrong(
            "It cuts off texts after 24 tokens.",
            "The length says what a head and a neuron cost, and for how long a text time is "
            "measured. It changes no text.",
        ),
        right(
            "Too many heads were kept, and too few neurons, for texts of this length.",
            "Per token a neuron costs the same at any length, but a head more the more tokens it "
            "has to compare. At 24 tokens heads look cheaper than they are at 128.",
        ),
        wrong(
            "Too many neurons were kept, and too few heads, for texts of this length.",
            "That would follow if heads got cheaper as texts grow. They get dearer: every token "
            "is compared with every other.",
        ),
        wrong(
            "Nothing: costs grow in proportion to the length, for heads and neurons alike.",
            "That is true of neurons, and of a head's four matrices. But the number of attention "
            "weights grows with the square of the length.",
        ),
    ],
    look="Look at “Your settings”.",
)

Question(
    "10.calibration",
    "You may choose one set of a thousand texts to calibrate scores and repair with. Which?",
    [
        wrong(
            "The clean, labelled texts that the model was trained on",
            "They will do if there is nothing else. But the model is sure of nearly all of them, "
            "so they say less about what it needs for new texts. And labels are not needed.",
        ),
        wrong(
            "The test texts, so that the report is about what was calibrated",
            "Then the report would be too good. The texts that report must not have shaped the "
            "model.",
        ),
        wrong(
            "Encyclopedia articles in many languages",
            "A model keeps what its calibration texts use. If yours are short orders in five "
            "languages, articles keep the wrong parts.",
        ),
        right(
            "Unlabelled texts from your logs, of every kind and language that you serve",
            "Scores can draw their targets from the model's own answers, and repair compares "
            "hidden states. So labels are not needed; what counts is that the texts are like "
            "those to come.",
        ),
    ],
    look="Look at “Three sets, no text in two”.",
)
