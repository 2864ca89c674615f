"""Questions of lesson 01."""

from ..quiz import Question, right, wrong

Question(
    "01.far_word",
    "An untrained LSTM, with PyTorch's initial weights, reads 60 tokens. How strongly does its "
    "last output depend on the first token, compared with the last?",
    [
        wrong(
            "About as strongly: LSTMs were made to remember.",
            "They were made so that they can learn to. With PyTorch's initial weights the forget "
            "gate keeps about half at every step.",
        ),
        wrong(
            "About a tenth as strongly.",
            "That would take a gate that keeps 96% at every step. PyTorch's starts at about one "
            "half.",
        ),
        right(
            "Less than a millionth as strongly.",
            "If about half is kept at every step, ½ to the power of 59 is left, less than 10⁻¹⁷. "
            "The influence measured is larger, because there are other paths than the memory, but "
            "still far below a millionth.",
        ),
    ],
    look="Look at “Why attention: the bottleneck”.",
    predict=True,
)

Question(
    "01.by_hand",
    "The query of “he” is (2, 0). The keys are (2, 0) for “Bill”, (−1, 1) for “paid”, (1, 1) for "
    "“he”. How much weight does “Bill” get from “he”?",
    [
        wrong(
            "About a third: there are three tokens.",
            "That is so when all dot products are equal. These are 4, −2 and 2.",
        ),
        wrong(
            "Two thirds: 4 of 4 + 2, and nothing for “paid”.",
            "Weights are not proportional to dot products, and a negative one does not get zero. "
            "The softmax takes e to the power of each, divided by √2 first.",
        ),
        right(
            "About 80%.",
            "The dot products are 4, −2 and 2, divided by √2 about 2.8, −1.4 and 1.4. e to these "
            "powers is about 16.9, 0.2 and 4.1, and 16.9 is 80% of the sum.",
        ),
        wrong(
            "All of it: the largest score wins.",
            "That would be a maximum. A softmax leaves something to all, here about a fifth to "
            "“he” itself.",
        ),
    ],
    look="Look at “Query, key, value”.",
    predict=True,
)

Question(
    "01.he_she",
    "The head gives Bill nearly half of the attention of “He”. Put “She” for “He”, and change "
    "nothing else. How much does Bill get in this head?",
    [
        wrong(
            "About as much: it looks from the pronoun to the subject, wherever that is.",
            "Then only the place of the word would matter, and not the word. But less than a "
            "tenth of what Bill got from “He” is left.",
        ),
        right(
            "Much less, about as much as a token gets by chance.",
            "Spread evenly over 16 tokens, each would get about 6%. So the word matters, and not "
            "only its place. What it is about the word, one swap cannot tell.",
        ),
        wrong(
            "More: the unusual word draws attention.",
            "Attention weights do not measure surprise. “She” has another query than “He”, and "
            "another query matches other keys.",
        ),
    ],
    look="Look at “He and She”.",
    predict=True,
)

Question(
    "01.women",
    "Now with six names of men and six of women. If the head matched pronouns with names, women's "
    "names would get more from “She” than from “He”. What do you expect?",
    [
        wrong(
            "Just that: the mirror image of the men's names.",
            "This is what the story says, and what one or two lucky names would confirm. Over all "
            "of them “She” gives women's names no more than “He” does.",
        ),
        wrong(
            "No difference anywhere: Bill was a chance hit.",
            "For men's names the difference is there in every single pair. That the head favours "
            "“He” was no chance; our story about it was wrong.",
        ),
        right(
            "Men's names get more from “He”, women's names not more from “She”.",
            "The head responds to “He”, and most when the name is a man's. To “She” it hardly "
            "responds. Another head may; we have not looked.",
        ),
    ],
    look="Look at “He and She”.",
    predict=True,
)

Question(
    "01.taken_from_marks",
    "Most heads give more than half of their attention to `<s>` and `</s>`. How many heads also "
    "take more than half of what they pass on from these two?",
    [
        wrong(
            "About as many: what is looked at is taken.",
            "What is taken is weight × value, and values differ in size. Those of these two "
            "tokens are small in most heads.",
        ),
        wrong(
            "Even more: the marks sum up the sentence.",
            "`<s>` does collect the sentence for the classifier, in its own row. But the question "
            "is what words take from its column.",
        ),
        right(
            "Fewer than a quarter of all heads.",
            "Most heads park their attention on tokens with small values, and pass on what small "
            "weights bring from the words.",
        ),
    ],
    look="Look at “Looked at, and taken”.",
    predict=True,
)

Question(
    "01.who_has_what",
    "In XLM-R's self-attention, which tokens have a query, a key and a value?",
    [
        wrong(
            "One token has the query, the others have keys and values.",
            "Some tutorials draw it like this, for one row of the attention. All rows are "
            "computed at once: every token asks.",
        ),
        wrong(
            "Words have all three; `<s>` and `</s>` have keys and values only.",
            "`<s>` and `</s>` are tokens like the others. The classifier even reads its answer "
            "at `<s>`, which has to ask for what it needs.",
        ),
        right(
            "Every token has all three, in every head.",
            "In self-attention each token asks, can be found, and has something to say. In "
            "cross-attention the queries come from one text, keys and values from the other.",
        ),
    ],
    look="Look at “Query, key, value”.",
)

Question(
    "01.order",
    "Take the positional embeddings away. Which two sentences can the model no longer tell apart?",
    [
        right(
            "“The dog bites the man” and “The man bites the dog”",
            "They have the same tokens in another order. Without positions attention gives the "
            "same outputs, in another order.",
        ),
        wrong(
            "“Turn on the light” and “Turn off the light”",
            "“on” and “off” are different tokens with different embeddings: no position is "
            "needed to see that.",
        ),
        wrong(
            "“The dog barks” and “The dog barks barks”",
            "A token more changes the weights: the second “barks” takes its part of the attention.",
        ),
        wrong(
            "None: the causal mask keeps the order.",
            "XLM-R is an encoder and has no causal mask: every token looks at all tokens.",
        ),
    ],
    look="Look at “What attention gave up: order”.",
)

Question(
    "01.gpt",
    "A chatbot of the GPT kind answers your question. Where does it use cross-attention?",
    [
        wrong(
            "Between your question and its answer.",
            "Question and answer are one text to it. What it writes looks back at the question by "
            "masked self-attention.",
        ),
        wrong(
            "In every second layer, as in the first Transformer.",
            "The first Transformer was a translator with an encoder. Its decoder had "
            "cross-attention in every layer; a decoder alone has nothing to cross to.",
        ),
        right(
            "Nowhere.",
            "It is a decoder only: masked self-attention and feed-forward. Cross-attention needs "
            "a second text, read by an encoder.",
        ),
    ],
    look="Look at “Who may look where”.",
)

Question(
    "01.memory",
    "A text gets ten times as long. How many more pairs does attention compute in a layer?",
    [
        wrong(
            "Ten times as many.",
            "Keys and values grow like this. Each of ten times as many queries now meets ten "
            "times as many keys.",
        ),
        right(
            "A hundred times as many.",
            "Every token meets every token, T² pairs in each head. Kernels that do not store them "
            "still compute them.",
        ),
        wrong(
            "As many as before: attention needs no steps.",
            "It needs no steps one after the other, which is why it is fast. The pairs are there "
            "all the same, side by side.",
        ),
    ],
    look="Look at “Why attention: the bottleneck”.",
)

Question(
    "01.matrices",
    "A head is removed for real. Which parts of the layer's matrices go with it?",
    [
        wrong(
            "Its columns of the output matrix, and nothing else.",
            "That removes what the head says. Its queries, keys and values would still be "
            "computed, for nobody.",
        ),
        wrong(
            "Its rows and columns of the two feed-forward matrices.",
            "Those belong to neurons. Heads and neurons have matrices of their own.",
        ),
        wrong(
            "Its row of the attention map.",
            "A row of a map belongs to a token. A head has a whole map, and maps are computed, "
            "not stored.",
        ),
        right(
            "Its rows of the query, key and value matrices, and its columns of the output matrix.",
            "PyTorch stores a matrix as outputs × inputs: what a head makes are rows, what the "
            "output matrix takes from it are columns. Lesson 06 does it.",
        ),
    ],
    look="Look at “A whole layer, and a whole model”, and at the tables of layers in lesson 00.",
)
