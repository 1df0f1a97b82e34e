import globals from "globals";

export default [
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
