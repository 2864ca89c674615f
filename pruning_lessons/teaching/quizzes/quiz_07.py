"""Questions of lesson 07."""

from ..quiz import Question, right, wrong

Question(
    "07.guess_rule",
    "Four of the twelve layers go, and nothing is trained afterwards. Which rule "
    "leaves the worst classifier?",
    [
        wrong(
            "Drop the first four layers.",
            "It costs a lot, since later layers get states that they were never trained on. But "
            "the layers that fill `<s>`, where the classifier reads, are still there.",
        ),
        wrong(
            "Drop every other layer, counted from the top.",
            "That takes the very last layer, but leaves the one before it. One of the two layers "
            "that fill `<s>` is still at work.",
        ),
        right(
            "Drop the last four layers.",
            "The classifier reads `<s>` alone, and in this model the sentence reaches `<s>` only "
            "in the last layers. Without them all sentences look nearly alike.",
        ),
        wrong(
            "Drop the four that change the hidden states least.",
            "This is the only one of the four rules that looks at the model. It spares the "
            "layers that rewrite most.",
        ),
    ],
    look="Look at “The problem in one picture”.",
    predict=True,
)

Question(
    "07.guess_search",
    "Four layers go, and nothing is trained. Greedy search tries dozens of models and uses labels; "
    "block influence takes one forward pass and none. Which gets more test sentences right?",
    [
        right(
            "About the same: whatever differs is within the noise of the test.",
            "In the middle of this model many choices are nearly equal, so there is little for a "
            "search to find, and some of what it finds is luck on its own sentences.",
        ),
        wrong(
            "Greedy search, by far.",
            "It looks at answers, which is what counts. But it takes one layer at a time, and it "
            "chooses on few sentences: part of its advantage there is luck.",
        ),
        wrong(
            "Block influence, by far.",
            "One pass without labels is cheap, not better informed: it never sees an answer. It "
            "does well here because the choices are nearly equal.",
        ),
    ],
    look="Look at “Who wins?”.",
    predict=True,
)

Question(
    "07.guess_top",
    "One model has lost its last four layers and guesses. Another has lost its first four and "
    "still gets more than half of the answers right. Both are fine-tuned for some forty steps. "
    "What happens?",
    [
        wrong(
            "The first one goes on guessing: what it lost cannot be learned from so few sentences.",
            "To learn the languages anew would be hopeless. But its lower layers still understand "
            "the words. What it lacks is a way to bring them to `<s>`, and that is a small job.",
        ),
        wrong(
            "Both gain about equally, so the gap between them stays.",
            "They lack different things. One lacks the layers that everything above was trained "
            "on, the other a job that any layer can take over.",
        ),
        right(
            "The first one closes most of the gap.",
            "Its lower layers still understand the words; training only has to teach one of them "
            "to fill `<s>`. This is why rules for models that are trained after the cut differ "
            "from rules for those that are not.",
        ),
    ],
    look="Look at “Train after the cut”.",
    predict=True,
)

Question(
    "07.costs_add",
    "You remove layers 3, 4, 6 and 7, each alone, and put each back. Each time you lose less than "
    "one point. What do you know about removing all four?",
    [
        wrong(
            "It costs four points at most.",
            "That would be so if the costs just added up. Each layer was cheap while the other "
            "three were there to make up for it.",
        ),
        wrong(
            "It costs next to nothing: the four layers are useless.",
            "Two layers that do the same job are each cheap to remove. Removing both is another "
            "matter.",
        ),
        right(
            "Little: the four together have to be measured.",
            "Costs of removal do not add up. They usually grow, since what is left has more to "
            "make up for. This is why greedy search measures again after every step.",
        ),
        wrong(
            "It costs more than four points.",
            "Often, but it does not follow. Layers can also undo a part of each other's work, and "
            "then the two together are cheaper than the sum.",
        ),
    ],
    look="Look at “Search greedily”.",
)

Question(
    "07.optimism",
    "On its own validation sentences the model found by greedy search lost one point, on the test "
    "sentences three. What is the likeliest reason?",
    [
        wrong(
            "The test sentences are harder.",
            "Then the whole model would do worse on them too. On each set the loss is counted "
            "from what the whole model gets there.",
        ),
        right(
            "The choice among many candidates used the luck of the validation sentences.",
            "The best of many measured scores is partly a lucky one, and the more candidates and "
            "the fewer sentences, the luckier. Report on sentences that chose nothing.",
        ),
        wrong(
            "The layers that went had memorised the test sentences.",
            "No layer ever saw them: neither the search nor the training before it used test "
            "sentences.",
        ),
        wrong(
            "Removing layers for real gives other answers than leaving them out with a mask.",
            "Both give the same answers, to rounding. A difference there would show on the "
            "validation sentences as well.",
        ),
    ],
    look="Look at “Who wins?”.",
)

Question(
    "07.stored_states",
    "Greedy search has removed layer 3 and stored the hidden states in front of every layer that "
    "is left. Now it tries to remove layer 9 too. Which layers does it have to run?",
    [
        right(
            "Layers 10 and 11",
            "In front of layer 9 nothing changes, so the states stored there go straight into "
            "layer 10. If training followed each removal, every layer would change, and nothing "
            "stored could be used again.",
        ),
        wrong(
            "All layers except 3 and 9",
            "That is the plain search, which starts each candidate from the embeddings. Layers 0 "
            "to 8 would give exactly what has been stored.",
        ),
        wrong(
            "Layers 0 to 8, without layer 3",
            "Those come before the gap, and what they give is in store. What changes lies behind "
            "the gap.",
        ),
        wrong(
            "None: all states have been stored",
            "Layers 10 and 11 were stored with layer 9 in front of them. Without it they get "
            "other inputs, and so does the classifier.",
        ),
    ],
    look="Look at “The price”.",
)

Question(
    "07.token_average",
    "Block influence averages over all real tokens how much a layer turns their hidden states. "
    "For which model can that mislead you most?",
    [
        wrong(
            "An embedder that averages the hidden states of all tokens",
            "It averages over tokens as block influence does. A layer that changes few of them "
            "changes the vector little.",
        ),
        wrong(
            "A tagger that labels every token",
            "Every token is an answer there. So an average over tokens looks where the model is "
            "read.",
        ),
        right(
            "A classifier that reads one token",
            "A layer that rewrites `<s>` and leaves the rest alone decides the answer. Among "
            "twenty tokens it changes one, so its block influence is small.",
        ),
    ],
    look="Look at “One forward pass”.",
)
