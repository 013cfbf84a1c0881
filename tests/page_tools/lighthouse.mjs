// Audit pages with Lighthouse in a Chromium that is already running.
//
//     node lighthouse.mjs PORT ADDRESS...
//
// Prints one JSON object a line for each address: its scores in per cent, the audits that cost points, and Lighthouse's
// index of how fast the machine was meanwhile.
import lighthouse, { desktopConfig } from "lighthouse";

const CATEGORIES = ["performance", "accessibility", "best-practices", "seo"];
const [port, ...addresses] = process.argv.slice(2);

function lostPoints({ categories, audits }) {
  const weighed = Object.values(categories).flatMap(({ auditRefs }) => auditRefs.filter(({ weight }) => weight > 0));
  const failed = weighed.map(({ id }) => audits[id]).filter(({ score }) => score !== null && score < 0.9);
  return failed.map(({ id, title, displayValue, details }) => ({
    id,
    title,
    value: displayValue ?? "",
    elements: (details?.items ?? []).map(({ node }) => node?.snippet).filter(Boolean),
  }));
}

for (const address of addresses) {
  const flags = { port: Number(port), onlyCategories: CATEGORIES, logLevel: "error" };
  const { lhr } = await lighthouse(address, flags, desktopConfig);
  if (lhr.runtimeError) throw new Error(`${address}: ${lhr.runtimeError.message}`);
  const scores = Object.fromEntries(CATEGORIES.map((name) => [name, Math.round(100 * lhr.categories[name].score)]));
  const speed = lhr.environment.benchmarkIndex;
  console.log(JSON.stringify({ address, scores, lost: lostPoints(lhr), speed }));
}
