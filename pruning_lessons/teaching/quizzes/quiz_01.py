"""Questions of lesson 01."""

from ..quiz import Question, right, wrong

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
    "Take the positional embeddings away. Which two sentences can attention no longer tell apart?",
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
            "A token more changes the shares: the second “barks” takes its part of the attention.",
        ),
        wrong(
            "None: the causal mask keeps the order.",
            "XLM-R is an encoder and has no causal mask: every token looks at all tokens.",
        ),
    ],
    look="Look at “What attention gave up: order”.",
)

Question(
    "01.end_mark",
    "On one sentence a head gives `</s>` nearly all of its attention, in every row. What is the "
    "safest reading?",
    [
        wrong(
            "`</s>` is the most important token of the sentence.",
            "`</s>` stands at the end of every sentence, and is the same everywhere. Much "
            "attention to a token does not prove that the answer depends on it.",
        ),
        right(
            "The head may have found little to do on this sentence.",
            "The shares of a row must add up to 1, so they have to go somewhere. A token that is "
            "always there is a natural place. On another sentence the same head may look "
            "elsewhere.",
        ),
        wrong(
            "The head is broken and can be pruned without a loss.",
            "One sentence does not show that. Whether a head matters is measured on many "
            "sentences, and by what happens without it: lesson 05.",
        ),
    ],
    look="Look at “Read the pictures”.",
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
            "output matrix takes from it are columns. Lesson 05 does it.",
        ),
    ],
    look="Look at “Many heads”, and at the tables of layers in lesson 00.",
)
