// Configuration of Allure 3 for the report of a run: `make report`, or the end of `make run`.
// The categories are a file of their own because Allure's results carry a copy of it for other versions of Allure.
import { readFileSync } from "node:fs";

const categories = JSON.parse(readFileSync(new URL("categories.json", import.meta.url), "utf-8"));

export default {
  name: "Chaos experiments",
  categories,
  plugins: {
    awesome: {
      options: {
        reportName: "Chaos experiments",
        reportLanguage: "en",
        // One file: it opens from disk, from a mail and from a CI artefact, without a server.
        singleFile: true,
        groupBy: ["parentSuite", "suite", "subSuite"],
      },
    },
  },
};
