"""Questions of lesson 03."""

from ..quiz import Question, right, wrong

Question(
    "03.guess_sixty",
    "In each matrix of the layers, 60% of the weights are set to zero, and nothing is trained "
    "afterwards. In one copy of the model they are the smallest weights, in another they are "
    "drawn at random. How do the two copies do?",
    [
        wrong(
            "Both fail: no model survives the loss of 60% of its weights.",
            "It depends on which 60%. The histogram is a bell around zero: the smaller weights "
            "are many, but together they hold only a small part of the sum of squares.",
        ),
        right(
            "The first still answers most sentences correctly; the second fails.",
            "Each of the smallest weights adds little to an output. A random choice takes large "
            "weights as often as small ones, and with them about 60% of the sum of squares. "
            "Look at the picture.",
        ),
        wrong(
            "Both still answer most sentences correctly: models have weights to spare.",
            "They do, but not just any. A random choice takes large weights as often as small "
            "ones, and so about 60% of the sum of squares.",
        ),
        wrong(
            "Both lose about the same: they have equally many zeros.",
            "The number of zeros is the same, but not what was there before. Removing many "
            "numbers close to zero changes an output far less than removing as many of all sizes.",
        ),
    ],
    look="Look at “Score and scope”.",
    predict=True,
)

Question(
    "03.guess_bytes",
    "In a copy of the model, 90% of the weights in the layers' matrices are zero. All parameters "
    "are written in half precision and compressed as in a zip file. How large is the result, "
    "compared with the whole model compressed in the same way?",
    [
        wrong(
            "About 10%",
            "That would be so if everything had been pruned, and if zeros took no space at all. "
            "The word embeddings were not pruned.",
        ),
        wrong(
            "About 20%",
            "Zeros do shrink to very little. But about a quarter of this model's parameters are "
            "word embeddings, which were not pruned and hardly shrink: they alone take more "
            "than this.",
        ),
        right(
            "About 40%",
            "The word embeddings are all still there. So are the remaining weights, and the file "
            "must also record where they stand. With XLM-R base, whose embeddings are 69% of all "
            "parameters, even more would be left.",
        ),
        wrong(
            "About 100%",
            "That is the size without compression: as long as a matrix is stored number by "
            "number, a zero takes as many bytes as any other number. Compression does notice "
            "them.",
        ),
    ],
    look="Look at “Why 90% zeros are not 10% of the bytes”.",
    predict=True,
)

Question(
    "03.score_or_scope",
    "At 70% zeros, a colleague ranks by magnitude within each matrix, and by Wanda's score "
    "within each row. Wanda keeps far more accuracy: “So looking at the inputs is what helps.” "
    "How do you test that?",
    [
        right(
            "Rank by both scores within each row, and compare.",
            "Then the score is the only difference. In this lesson magnitude, too, does better "
            "when it is ranked within rows, so the inputs deserve only part of the credit.",
        ),
        wrong(
            "There is nothing to test: zeros and sentences are the same for both.",
            "A fair comparison needs that, but it needs more. Two things differ here: the score, "
            "and the group within which it is ranked. Either could explain the gain.",
        ),
        wrong(
            "Give Wanda more calibration sentences and see whether it improves.",
            "That shows how many sentences the norms of the inputs need. If the gain came from "
            "ranking within rows, more sentences would not reveal it.",
        ),
        wrong(
            "Fine-tune both models and compare them again.",
            "Worth knowing, but it answers another question. Training makes up for part of what "
            "was lost, whatever the reason was for losing it.",
        ),
    ],
    look="Look at “Look at the inputs”.",
    predict=True,
)

Question(
    "03.rescaled",
    "You double the weights and biases of a layer's value matrix, and halve the weights of the "
    "attention's output matrix behind it. The model computes exactly what it computed before. "
    "Which choice by magnitude is now different: the global one, or the one within each matrix?",
    [
        wrong(
            "Neither: what did not matter before does not matter now.",
            "The weights matter as much as before, but magnitude does not know that. It sees "
            "numbers, and the numbers have changed.",
        ),
        wrong(
            "The one within each matrix",
            "Within one matrix all weights were multiplied by the same factor, so their order is "
            "the same as before.",
        ),
        wrong(
            "Both",
            "One of them. Within a single matrix all weights were multiplied by the same factor, "
            "so there the order has not changed.",
        ),
        right(
            "The global one",
            "The value weights now look larger than before and the output weights smaller, so "
            "the output matrix loses more. Global ranking assumes that a weight of 0.1 means the "
            "same in every matrix. Wanda's choice does not change: it ranks within rows.",
        ),
    ],
    look="Look at “Look at the inputs”.",
)

Question(
    "03.zeros_come_back",
    "You set the small weights to zero with `weight[small] = 0`, keep no mask, and fine-tune. "
    "What becomes of the zeros?",
    [
        wrong(
            "They stay zero: where a weight is zero, its gradient is zero.",
            "The gradient of a weight is its input times the error that comes back at its "
            "output, summed over tokens. Neither vanishes because the weight is zero.",
        ),
        right(
            "Nearly all of them are other numbers after a few steps.",
            "Their gradients are like those of other weights, and the optimizer moves them all. "
            "With a mask the layer computes with mask times weight: a masked weight has no "
            "effect, and so its gradient is zero.",
        ),
        wrong(
            "They stay zero: they were the weights that the model needs least.",
            "The optimizer does not know that. It moves every weight in the direction in which "
            "the loss falls, large or small.",
        ),
        wrong(
            "They stay zero as long as the learning rate is small enough.",
            "With a small learning rate they move little, but they move: they become small "
            "numbers, and are zeros no longer.",
        ),
    ],
    look="Look at “Step by step”.",
)

Question(
    "03.nine_tenths",
    "“Nine weights in ten are zero, so nine multiplications in ten are saved, and the model is "
    "ten times as fast.” Which reply is best?",
    [
        wrong(
            "True, as soon as the masks are made permanent.",
            "That saves the multiplication by the mask, and no more. The matrix is still a dense "
            "one, and its zeros are fetched and multiplied like all other numbers.",
        ),
        wrong(
            "False: on a CPU, zeros can never save time.",
            "In a dense matrix they do not. But in a format that skips them they can: at 90% "
            "zeros, CSR can beat the dense matrix, above all with few tokens in a call.",
        ),
        right(
            "Only in a format that skips zeros, and even then the gain is as a rule smaller.",
            "For each number such a format must also read where it stands, and reading the "
            "inputs means jumping around in memory. How much is left of the gain depends on "
            "format, tokens in a call and machine. Ask as well how much accuracy a model with "
            "so many zeros still has.",
        ),
        wrong(
            "True if many tokens are computed in one call.",
            "It is rather the other way round. With many tokens the dense multiplication makes "
            "good use of each number that it has fetched, and CSR gains less.",
        ),
    ],
    look="Look at “Why zeros are not speed”.",
    predict=True,
)

Question(
    "03.two_of_four",
    "2:4 sparsity keeps the two largest of every four neighbours in a row. Why does that tend to "
    "cost more accuracy than keeping the larger half of each row?",
    [
        right(
            "Some groups of four have three large weights, others one; each must keep two.",
            "So a larger weight goes in one place while a smaller one stays in another. In "
            "return the pattern is regular, and hardware made for it finds the numbers without "
            "searching.",
        ),
        wrong(
            "It sets more weights to zero.",
            "Both set half of them to zero: two of every four, or half of each row. What differs "
            "is how freely one can choose which.",
        ),
        wrong(
            "Neighbouring inputs belong together, and the pattern separates them.",
            "The order of a layer's inputs has no meaning: renumber the hidden features in the "
            "same way everywhere, and you have the same model. To be neighbours means nothing.",
        ),
        wrong(
            "Graphics cards compute such matrices with lower precision.",
            "The loss comes from the choice of weights, and shows on any device: this lesson "
            "measures it with ordinary matrices. What a card with kernels for 2:4 adds is speed.",
        ),
    ],
    look="Look at “Zeros in a pattern: N:M”.",
)

Question(
    "03.guess_sensitive",
    "Nine weights in ten are set to zero, in one half of one layer alone: its attention or its "
    "feed-forward part. How different are the costs of these 24 cuts?",
    [
        wrong(
            "They are all alike: the layers have equally many weights.",
            "The layers do, but they do not contribute equally to the answer. The last ones write "
            "what the classifier reads.",
        ),
        right(
            "Very: the most expensive costs many times as much as the cheapest.",
            "That is why the same share everywhere is wasteful: some parts can lose nearly all "
            "of their weights unnoticed, others can lose few.",
        ),
        wrong(
            "The feed-forward parts cost twice as much: they hold twice the weights.",
            "They do hold twice as many. But how many weights a part holds and how much the "
            "answer depends on them are two things.",
        ),
    ],
    look="Look at “Which parts are sensitive?”.",
    predict=True,
)

Question(
    "03.together",
    "Each of 24 parts, pruned alone to 80% zeros, costs next to nothing. You prune all of them to "
    "80%, and the model fails. Why?",
    [
        right(
            "Each error goes into the next part, and no intact part is left to make up for it.",
            "A scan prunes one part while the others are whole. So its prices are a guide to which "
            "parts are sensitive, and no forecast for all together. Cut a little, look again, "
            "and recover.",
        ),
        wrong(
            "The scan was measured on too few sentences.",
            "More sentences would make its numbers more exact, but they would still be prices of "
            "one part alone.",
        ),
        wrong(
            "24 small prices add up to a large one.",
            "They add up, but the sum of the lesson's small prices is small. What happens "
            "together is far worse than the sum.",
        ),
        wrong(
            "80% is too much for any model of this size.",
            "With a better score it keeps far more at the same share, and training brings more "
            "back. What fails is cutting everything at once by a poor score.",
        ),
    ],
    look="Look at “Step by step”.",
)

Question(
    "03.csr_server",
    "Your model, trained back to good accuracy at 90% zeros, runs on a CPU. Where does storing its "
    "matrices as CSR help most?",
    [
        wrong(
            "In a nightly job with batches of 256 long texts",
            "With many tokens in a call the dense multiplication makes good use of each number "
            "that it has fetched. CSR gains least there.",
        ),
        right(
            "In an app that answers one short sentence at a time",
            "With few tokens a dense multiplication mostly waits for the weights to come from "
            "memory, and CSR fetches only a tenth of them, each with its column.",
        ),
        wrong(
            "Nowhere: on a CPU zeros never save time.",
            "In a dense matrix they do not. But CSR can win for a matrix with 90% zeros, as in the "
            "lesson with 24 tokens.",
        ),
        wrong(
            "Everywhere alike: a tenth of the multiplications is a tenth of the time.",
            "How much of that gain is left depends on how many tokens share each fetched weight.",
        ),
    ],
    look="Look at “Why zeros are not speed”.",
)
