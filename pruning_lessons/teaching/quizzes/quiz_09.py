"""Questions of lesson 09."""

from ..quiz import Question, right, wrong

Question(
    "09.guess_first",
    "One model is cut to a third of its multiply-accumulates and runs in PyTorch. "
    "The other is whole, and runs as ONNX in int8. Which answers one sentence faster on a CPU?",
    [
        wrong(
            "The pruned one, about three times as fast: it does a third of the work.",
            "Fewer multiplications help only where multiplying takes the time. For one sentence "
            "much of PyTorch's time is the overhead of many small operations.",
        ),
        wrong(
            "The pruned one, by a little: int8 makes up for most of the difference.",
            "A fair guess. But besides int8 there is the runtime, which joins operations and "
            "starts them with less overhead.",
        ),
        right(
            "The whole one in int8.",
            "Two gains come together: a runtime with little overhead, and whole numbers that take "
            "a quarter of the memory traffic. Both cost next to no accuracy, so export and int8 "
            "come first. (If your table says otherwise, believe your table.)",
        ),
    ],
    look="Look at “Before and after”.",
    predict=True,
)

Question(
    "09.guess_flips",
    "In int8 every weight of the matrices is rounded to a small whole number times "
    "a scale. How many answers of the whole classifier change, on languages it was trained on?",
    [
        right(
            "About one in a hundred, or fewer",
            "Rounding errors go up and down at random, and in a sum of hundreds of products most "
            "of them cancel. An answer flips only where two labels were close before.",
        ),
        wrong(
            "About one in ten",
            "This would be a drop that everybody sees. It can happen, if scales are badly chosen "
            "or sums overflow; then look for that first.",
        ),
        wrong(
            "About one in three",
            "It would take errors that all go one way. Rounding goes up about as often as down.",
        ),
    ],
    look="Look at “Eight bits”.",
    predict=True,
)

Question(
    "09.factors",
    "Whole model in PyTorch: 12 ms. Whole model in ONNX int8: 3 ms. Pruned model in ONNX int8: "
    "1.5 ms. How much faster has pruning made what you serve?",
    [
        wrong(
            "8 times",
            "That is everything together, 12 / 1.5. The whole model would have been four times "
            "as fast without any pruning.",
        ),
        wrong(
            "4 times",
            "That is what runtime and int8 did: 12 / 3. They do the same for a model that was "
            "never cut.",
        ),
        right(
            "2 times",
            "Change one thing at a time: 3 / 1.5, both in ONNX int8. The points of accuracy that "
            "pruning cost have bought this factor, not the whole eight.",
        ),
        wrong(
            "It cannot be told without the pruned model in PyTorch.",
            "That would give the factor in PyTorch, which may differ. You serve ONNX int8, and "
            "there both models have been timed.",
        ),
    ],
    look="Look at “Before and after”.",
)

Question(
    "09.product",
    "In PyTorch pruning makes a model twice as fast. ONNX makes the whole model three times as "
    "fast. How many times as fast as the whole model in PyTorch is the pruned one in ONNX?",
    [
        wrong(
            "6 times: the two gains are independent.",
            "They are not. How much time a cut saves depends on how much of the time was "
            "multiplication, and that differs between runtimes.",
        ),
        wrong(
            "5 times: gains add up.",
            "A factor works on the time that is left, so gains rather multiply than add. Even "
            "the product is only a guess.",
        ),
        wrong(
            "Less than 6: what is gone cannot be sped up any more.",
            "That is one effect, and at large batches it often wins. But overhead in PyTorch can "
            "hide a part of the cut; a lean runtime brings it out, and the factor passes 6.",
        ),
        right(
            "It may be less or more than 6: measure it.",
            "Overhead in PyTorch hides a part of the cut, which pushes the factor up. Overhead "
            "that the runtime keeps pushes it down. Batch and length decide which is stronger.",
        ),
    ],
    look="Look at “Before and after”.",
)

Question(
    "09.same_file",
    "A colleague's int8 file uses weights from −127 to 127. On one server it loses two points "
    "against float32, on another none, with the same sentences. What is the likeliest cause?",
    [
        wrong(
            "A few very large weights stretch the scales.",
            "Outliers do hurt int8. But scales and weights are in the file, and the file is the "
            "same on both servers.",
        ),
        right(
            "One CPU adds pairs of products in 16 bits, where they do not fit.",
            "Without instructions such as VNNI, two products of up to 255 · 127 are added in 16 "
            "bits, which end at 32,767: the sum is clipped. Weights from −63 to 63 fit. This is "
            "why the course's files use those.",
        ),
        wrong(
            "One server uses more threads, so sums come in another order.",
            "Whole numbers give the same sum in any order. For the float parts it matters in the "
            "last digits, not for whole points.",
        ),
        wrong(
            "Dynamic quantisation was calibrated on other sentences.",
            "It is not calibrated at all: activations get their scale while the model runs, from "
            "what they are.",
        ),
    ],
    look="Look at “Eight bits”.",
)

Question(
    "09.outlier",
    "In one row of a matrix a single weight is ten times as large as the next largest. The row has "
    "one scale, from −127 to 127. What happens to the other weights of the row?",
    [
        wrong(
            "Nothing: the large weight is stored apart.",
            "Some methods for large language models do that with outliers. Plain int8 has one "
            "scale per row, and all its weights share it.",
        ),
        wrong(
            "They become zero.",
            "Zero is what becomes of weights below half a step, 1/254 of the largest. Those at a "
            "tenth of the largest are about 13 steps from zero.",
        ),
        wrong(
            "They are rounded more coarsely, and so are all other rows.",
            "That is what one scale for the whole matrix would do. With one scale per row, an "
            "outlier hurts its own row alone.",
        ),
        right(
            "They share about a tenth of the 255 steps.",
            "The scale is the largest weight over 127. A tenth of the largest is about 13 steps, "
            "so the rest lies between −13 and 13: the same rounding error, but on much smaller "
            "weights.",
        ),
    ],
    look="Look at “Eight bits”.",
)

Question(
    "09.front",
    "Four models: A 3 ms, 97%. B 4 ms, 96%. C 2 ms, 95%. D 4 ms, 97%. Which are on the Pareto "
    "front?",
    [
        wrong(
            "A alone: it beats all others.",
            "C is faster than A. Whoever has only 2 ms will want it, so A does not beat it.",
        ),
        right(
            "A and C",
            "B is slower and less accurate than A. D is slower than A and no more accurate. Before "
            "you call two models different, though, look at the noise: on 1,500 sentences an "
            "accuracy near 97% is uncertain by almost a point, at 95% confidence.",
        ),
        wrong(
            "A, C and D",
            "D has the accuracy of A, and A gives it in less time. Being as accurate as the best "
            "is not enough.",
        ),
        wrong(
            "A, B and C",
            "B lies between A and C in accuracy, but it is slower than both. There is no budget "
            "for which one would choose it.",
        ),
    ],
    look="Look at “The front”.",
)
