"""Questions of lesson 06."""

from ..quiz import Question, right, wrong

Question(
    "06.guess_single",
    "Every head is removed once, with all the others in place, and the change of the loss is "
    "written down. How many of the heads change it by less than a tenth of the greatest change?",
    [
        wrong(
            "About a tenth of them",
            "That would be so if nearly every head had a job of its own that no other part of "
            "the model could take over.",
        ),
        wrong(
            "About half of them",
            "A fair guess, but the picture is paler than that. Only a few heads, taken by "
            "themselves, change the loss much.",
        ),
        right(
            "Most of them",
            "Alone, most heads are hardly missed: others do similar work, and the residual "
            "connection carries every token on without them. That does not mean that they can "
            "all go together.",
        ),
    ],
    look="Look at “The problem in one picture”.",
    predict=True,
)

Question(
    "06.guess_again",
    "Leave-one-out is repeated on 32 other sentences of the same kind. How well does its second "
    "ranking of the heads agree with its first, as a rank correlation?",
    [
        wrong(
            "Perfectly, about 1: it is exact.",
            "It is exact for the sentences that it is given. Most heads change the loss by so "
            "little that a few sentences decide their rank.",
        ),
        right(
            "Somewhere in between, 0.3 to 0.8",
            "The few strong heads are strong on any sentences; the ranks of the many weak ones "
            "are largely luck. So no score can agree closely with a leave-one-out on so few "
            "sentences.",
        ),
        wrong(
            "Hardly, about 0: 32 sentences are far too few.",
            "They are few, but some heads matter so much that any sentences show it.",
        ),
    ],
    look="Look at “Can the scores be trusted?”.",
    predict=True,
)

Question(
    "06.guess_last_two",
    "Two models, neither of them trained after the cut: the first has lost all heads of the last "
    "two layers and no others, the second has only those. Which answers more sentences correctly?",
    [
        wrong(
            "The first: it has five times as many heads.",
            "The number of heads is not what counts here. The classifier reads one vector only, "
            "that of `<s>` after the last layer, and expects it as the last two layers leave it.",
        ),
        right(
            "The second, by far",
            "The classifier reads only `<s>`, as the last two layers leave it. The words' "
            "vectors get up there without any heads, along the residual connections and through "
            "the feed-forward networks.",
        ),
        wrong(
            "Both do almost as well as the whole model, since most heads are hardly missed.",
            "One at a time they are hardly missed. Here many go at once, and one of the two "
            "models loses all heads that do a certain job.",
        ),
        wrong(
            "Neither gets more than a few right.",
            "One of them does surprisingly well. Where a layer has no heads, the words' vectors "
            "still pass through it, along the residual connection and through the feed-forward "
            "network.",
        ),
    ],
    look="Look at “The rule to beat”.",
    predict=True,
)

Question(
    "06.guess_task",
    "The same encoder, weight for weight, also serves a fill-mask head, which guesses a hidden "
    "word from the vector at its place. Of all heads we again keep only those of the last two "
    "layers. How does it do?",
    [
        wrong(
            "Well, as the intents did: it is the same encoder.",
            "The encoder is the same, but the place that is read is another one. What has to be "
            "known there has to get there, from the neighbours, and through other heads.",
        ),
        wrong(
            "Somewhat worse than the intents, since the task is harder.",
            "It is not a matter of more or less difficult. The two tasks read different places, "
            "and so they need different heads.",
        ),
        right(
            "It breaks down, and without just these heads it does quite well.",
            "A hidden word has no vector of its own to start from: its neighbours must tell it "
            "what they are, layer after layer, from early on. Two layers at the end come too late.",
        ),
    ],
    look="Look at “Other tasks, other heads”.",
    predict=True,
)

Question(
    "06.stand_ins",
    "Two heads do the same job in the same way. Leave-one-out gives each of them a value near "
    "zero. What does that tell you?",
    [
        wrong(
            "Both can go.",
            "Each was removed while the other was still there. Remove both, and nobody is left "
            "to do the job.",
        ),
        wrong(
            "Their job is not needed.",
            "It may well be needed: when one head was missing, the other did the job. Only "
            "removing both would show.",
        ),
        right(
            "Either of them can go, as long as the other stays.",
            "Leave-one-out says what one removal costs with everything else in place. After a "
            "removal, the rest is worth something different. So remove a few, score again, and "
            "measure the pruned model at the end.",
        ),
        wrong(
            "A gradient score is needed: it sees all heads in one pass, and so finds the pair.",
            "One backward pass gives the derivatives for all gates, but each of them says what "
            "happens when this gate alone moves a little. These scores have the same blind spot.",
        ),
    ],
    look="Look at “The problem in one picture”.",
)

Question(
    "06.sign",
    "Taylor ranks a head near the top. Leave-one-out, which keeps the sign, ranks it near the "
    "bottom: without this head the loss is smaller. Is one of the two wrong?",
    [
        wrong(
            "Yes, Taylor: leave-one-out is the exact answer.",
            "It is exact for these sentences and one head, but it does not ask the same "
            "question. On other sentences it gives a rather different ranking itself.",
        ),
        wrong(
            "Yes, leave-one-out: a loss cannot fall when a part is taken out.",
            "It can. On some sentences a head pushes towards a wrong answer, and without it they "
            "are answered better.",
        ),
        wrong(
            "No: both say that this head does harm and should go.",
            "Taylor does not say whether a head helps or harms. And on a few dozen sentences the "
            "loss may be smaller by chance. Look at other sentences before you remove it.",
        ),
        right(
            "No: Taylor says how much changes, leave-one-out also in which direction.",
            "Taylor averages absolute values, so a head with a strong effect scores high, "
            "whether it helps or harms. Whether it really does harm, other sentences must show.",
        ),
    ],
    look="Look at “Can the scores be trusted?”.",
)

Question(
    "06.baseline",
    "Somebody has a new score for heads. On this lesson's model, the best 24 heads by this score "
    "beat 24 heads drawn at random by 40 points. Is it a good score?",
    [
        wrong(
            "Yes: forty points cannot be luck.",
            "With one draw they can. Draws of 24 heads differ by tens of points, depending on "
            "what they happen to leave in the last layers.",
        ),
        right(
            "That is not shown: what of other draws, and of the rule “keep the last two layers”?",
            "One draw is a poor yardstick, because draws differ by tens of points. And that rule, "
            "which keeps 24 heads as well, does far better than the average draw without looking "
            "at a single sentence. A good score has to beat it.",
        ),
        wrong(
            "Yes, provided that it beats magnitude as well.",
            "For heads of this model magnitude is no better than a random choice. To beat it is "
            "not much of a test.",
        ),
        wrong(
            "Only if it ranks the heads as leave-one-out does.",
            "Leave-one-out removes one head at a time, and depends on the sentences itself. What "
            "judges a choice is how well the model answers without all those heads.",
        ),
    ],
    look="Look at “Choose and measure”.",
)

Question(
    "06.other_task",
    "With a sixth of its heads, the intent classifier of this lesson still answers most sentences. "
    "You have an XLM-R that extracts answers from texts. What follows for that model?",
    [
        wrong(
            "The same heads can go: both models began as the same encoder.",
            "Fine-tuning decides what is needed, and where. This classifier reads `<s>` alone; "
            "a model that marks an answer in a text reads every token.",
        ),
        wrong(
            "A sixth of its heads will do, though perhaps other ones.",
            "How many are needed depends on the task. Many intents can be told from single "
            "words, in any order, which asks little of attention.",
        ),
        right(
            "Hardly anything: score its heads on its task, and measure.",
            "Many intents can be told from single words, in any order. To find the place in a "
            "text that answers a question, tokens must be related to each other. That may need "
            "more heads, and other ones.",
        ),
        wrong(
            "Its heads have to stay: that task is too hard.",
            "Harder tasks can have heads to spare, too: with training, Voita and others (2019) "
            "removed most encoder heads of a translation model and lost little. How many can go "
            "has to be measured.",
        ),
    ],
    look="Look at “Other tasks, other heads”.",
)

Question(
    "06.which_language",
    "A model that lost heads has lost 1.0 points on 800 sentences in languages of its training, "
    "and 1.9 points on 800 in zero-shot languages. In each group about 5% of the answers changed "
    "from right to wrong or back. Which group suffered more?",
    [
        right(
            "These sentences cannot tell.",
            "Each loss has a standard error of about √(0.05 / 800) = 0.8 points, and so their "
            "difference has one of about 1.1. The difference found is 0.9 points.",
        ),
        wrong(
            "The zero-shot languages: they lost almost twice as much.",
            "“Twice” is a ratio of two small, uncertain numbers: each is uncertain by about 0.8 "
            "points. Other sentences might turn it round.",
        ),
        wrong(
            "The zero-shot languages, because they were not in the calibration set.",
            "That would be a plausible reason, but for an effect that has not been shown. Measure "
            "on more sentences first. Then test the reason: put such sentences into the "
            "calibration set and score again.",
        ),
        wrong(
            "Neither: both suffered equally.",
            "That is not shown either: a true difference of two points would agree with these "
            "numbers as well. “Not shown” is not “not there”.",
        ),
    ],
    look="Look at “Do unseen languages lose more?”.",
)
