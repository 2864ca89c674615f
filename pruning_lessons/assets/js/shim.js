// What BertViz's scripts ask of require.js and jQuery, and no more. BertViz
// loads both, and d3, from a CDN; here they come with the page.
// Loaded before it: d3-selection and d3-color, which define `d3`.
d3.schemeCategory10 = [
    "#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd",
    "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"];
d3.scaleOrdinal = colours => i => colours[i % colours.length];

window.jQuery = function (what) {
    const found = what.startsWith("<")
        ? [document.createElement(what.match(/\w+/)[0])]
        : [...document.querySelectorAll(what)];
    const each = action => (found.forEach(action), chain);
    const chain = {
        append: child => each(e => e.append(child.element)),
        attr: (name, value) => each(e => e.setAttribute(name, value)),
        change: () => each(e => e.dispatchEvent(new Event("change"))),
        empty: () => each(e => e.replaceChildren()),
        on: (event, listener) => each(e => e.addEventListener(event, listener)),
        text: value => each(e => { e.textContent = value; }),
        val: value => each(e => { e.value = value; }),
        element: found[0],
    };
    return chain;
};
window.require = {config() {}};
window.requirejs = (names, start) => start(jQuery, d3);
// Weights come as bytes, in 255ths, once: BertViz wants them as lists, for each
// pair of texts (rows from one, columns from the other).
window.unpacked = function (params) {
    const bytes = Uint8Array.from(atob(params.weights), c => c.charCodeAt(0));
    const [layers, heads, tokens] = params.shape;
    const range = ([from, to]) => Array.from({length: to - from}, (_, i) => from + i);
    for (const part of params.attention) {
        const map = start => range(part.rows).map(row => range(part.columns).map(
            column => +(bytes[start + row * tokens + column] / 255).toFixed(3)));
        part.attn = range([0, layers]).map(layer => range([0, heads]).map(
            head => map((layer * heads + head) * tokens * tokens)));
        part.left_text = params.tokens.slice(...part.rows);
        part.right_text = params.tokens.slice(...part.columns);
    }
    return params;
};
