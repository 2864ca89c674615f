"""Questions of lesson 08."""

from ..quiz import Question, right, wrong

Question(
    "08.guess_price",
    "In the course's model, at 24 tokens, one attention head costs as many multiply-accumulates as "
    "how many neurons?",
    [
        wrong(
            "About 5",
            "A head has four matrices, a neuron two vectors. But a head's matrices are 32 "
            "numbers wide.",
        ),
        right(
            "About 65",
            "A head of size 32 has four matrices of 384 × 32, a neuron two vectors of 384: 64 "
            "times as much. The attention weights of 24 tokens add as much as two neurons.",
        ),
        wrong(
            "About 500",
            "Then three heads would cost as much as a layer's 1,536 neurons. In fact all twelve "
            "heads cost about half as much as those.",
        ),
        wrong(
            "About 1",
            "Then twelve heads would be next to nothing beside 1,536 neurons. In fact attention "
            "does about a third of a layer's work.",
        ),
    ],
    look="Look at “Why one kind of part is not enough”.",
    predict=True,
)

Question(
    "08.guess_depth",
    "Two pruned models have a third of the multiply-accumulates, one as twelve "
    "thin layers, one as nine thicker ones. Which answers a single sentence faster?",
    [
        wrong(
            "The one with twelve thin layers: small matrices are quicker.",
            "A small matrix takes less time than a large one, but not in proportion. Starting an "
            "operation costs the same for both.",
        ),
        right(
            "The one with nine thicker layers.",
            "Each layer has a fixed overhead: operations to start, LayerNorms, residual sums. "
            "Three layers fewer save it three times. With large batches it counts for less.",
        ),
        wrong(
            "Neither: the same number of multiplications takes the same time.",
            "Multiplications are only a part of the time. Every layer also starts about the same "
            "number of operations, however thin it is.",
        ),
    ],
    look="Look at “With or without layers?”.",
    predict=True,
)

Question(
    "08.knapsack",
    "The best heads and neurons for a budget are found here by trying every number of heads. Which "
    "change would spoil this simple method?",
    [
        right(
            "Every head has a cost of its own.",
            "For a given number of heads it would no longer be best to take the highest scores: a "
            "slightly worse head might be much cheaper. That is a true knapsack problem.",
        ),
        wrong(
            "There are ten times as many heads.",
            "Then there are ten times as many numbers of heads to try, each of them done by "
            "sorting. Nothing else changes.",
        ),
        wrong(
            "The budget is so small that some layers end up with nothing.",
            "The method does not care in which layer a unit lies. An empty layer is allowed: the "
            "residual connection carries the states on.",
        ),
        wrong(
            "Many neurons have exactly the same score.",
            "Ties leave a choice between equally good sets. Either of them has the largest sum "
            "of scores.",
        ),
    ],
    look="Look at “One budget”.",
)

Question(
    "08.equal_time",
    "“Half of the MACs” gives a model with 12 ms and 94%, “half of the milliseconds” one with 9 ms "
    "and 89%. What follows about choosing by MACs or by milliseconds?",
    [
        wrong(
            "MACs are the better budget: five points more accuracy.",
            "That model also takes a third longer. A larger model is expected to be more "
            "accurate, whatever it was chosen by.",
        ),
        wrong(
            "Milliseconds are the better budget: they save more time.",
            "They were asked to save more. A smaller budget of MACs would have saved as much, "
            "with an accuracy that nobody has measured yet.",
        ),
        wrong(
            "They are equally good: each model lies on the front.",
            "Two points always look like a front, if the faster one is less accurate. A third "
            "model may beat one of them.",
        ),
        right(
            "Nothing yet: compare two models that take the same time.",
            "Cut by MACs until the measured time is 9 ms as well, then compare accuracies. Better "
            "still, draw both curves of accuracy against milliseconds.",
        ),
    ],
    look="Look at “A budget in milliseconds”.",
)

Question(
    "08.layers_first",
    "Fisher scores rank heads and neurons of the whole model. Why are they a poor guide to whether "
    "three whole layers should go first?",
    [
        wrong(
            "Because scores need labels, and layers have none",
            "The same gradient that scores heads and neurons scores a gate on a layer. Targets "
            "can be drawn from the model's own answers.",
        ),
        right(
            "Because they describe small changes, and a lost layer is a large one",
            "A gradient tells what happens for a small change of a gate. With three layers gone "
            "the rest is another model, with other scores. So build both versions, score the "
            "smaller one anew, and compare them on validation sentences.",
        ),
        wrong(
            "Because a layer's score is simply the sum of its heads' and neurons' scores",
            "It is not: a gate on the whole layer has a gradient of its own. A sum would leave "
            "out how the parts of a layer work together.",
        ),
        wrong(
            "Because removing layers does not save MACs",
            "It saves all the MACs of those layers. That is why the budget that is left for the "
            "others becomes larger.",
        ),
    ],
    look="Look at “With or without layers?”.",
)

Question(
    "08.order",
    "Why does repair come before distillation, and not after it?",
    [
        wrong(
            "Repair needs labels, and distillation uses them up.",
            "Repair needs no labels: its targets are the original's own hidden states. "
            "Distillation can do without them too.",
        ),
        wrong(
            "Distillation works only on models that have been repaired.",
            "It works on any student. But from a damaged start it spends many steps on what "
            "repair does in seconds.",
        ),
        right(
            "Repair is a good start; afterwards it could undo training.",
            "Repair brings each layer close to the original's states. Distillation then lets the "
            "layers move away from those together, towards the original's answers. A refit to "
            "the original's states would pull them back.",
        ),
        wrong(
            "The order is a convention: both make the student imitate the teacher.",
            "They imitate different things: repair the states inside the original, layer by "
            "layer, distillation mainly its answers. The second may have to give up the first.",
        ),
    ],
    look="Look at “Distil”.",
)

Question(
    "08.one_sentence",
    "On 200 validation sentences the repaired model gets 91.0%. After fifteen steps of "
    "distillation it gets 90.5%. What can you conclude?",
    [
        wrong(
            "Distillation does not help a model that has been repaired.",
            "Fifteen steps with a difference of one answer cannot show that. A longer training "
            "on more sentences may.",
        ),
        wrong(
            "The learning rate was too high and has damaged the model.",
            "Damage shows as a clear drop. One answer of 200 changes when almost anything changes.",
        ),
        wrong(
            "The distilled model has overfitted its training sentences.",
            "That takes many passes, and shows as a falling training loss beside a rising "
            "validation loss. One answer shows nothing.",
        ),
        right(
            "Hardly anything: one answer of 200 is half a point.",
            "Keep the repaired model, or measure on more sentences or by the KL divergence, which "
            "moves before an answer flips. Judge distillation after a longer run.",
        ),
    ],
    look="Look at “Distil”.",
)

Question(
    "08.guess_start",
    "A model is cut to 15% of its multiply-accumulates. One student starts distillation from the "
    "bare cut, another from the repaired model. After the same 60 steps, which is better?",
    [
        right(
            "The one that was repaired.",
            "Repair brings it in seconds about as far as 60 steps bring the bare cut. Its own 60 "
            "steps then come on top.",
        ),
        wrong(
            "The bare cut: it is free to learn something new.",
            "It does gain more, since it starts so low. But most of its steps go on what repair "
            "does in closed form.",
        ),
        wrong(
            "Both are equal: the teacher and the sentences are the same.",
            "With enough steps that might happen. With few, the start decides most of the end.",
        ),
    ],
    look="Look at “Distil”.",
    predict=True,
)
