import globals from "globals";

// Panels that are not yet drawn from pictures bring scripts of their own, which are joined and not imported.
const OLD = "{draw,embedding,map,mount,sweep,training}.js";

export default [
  { ignores: [`cl_explore/widgets/js/${OLD}`] },
  {
    languageOptions: { globals: { ...globals.browser } },
    rules: {
      "consistent-return": "off",
      "eqeqeq": "error",
      "max-len": ["error", { code: 120 }],
      "no-dupe-keys": "error",
      "no-redeclare": "error",
      "no-shadow": "error",
      "no-undef": "error",
      "no-unreachable": "error",
      "no-unused-vars": "error",
      "no-var": "error",
      "prefer-const": "error",
      "semi": "error",
    },
  },
];
