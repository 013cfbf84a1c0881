// Audit pages with Lighthouse in a Chromium that is already running.
//
//     node lighthouse.mjs PORT ADDRESS...
//
// Prints one JSON object a line for each address: its scores in per cent and the audits that cost points. plotly.js is
// not loaded, as tests/test_page_quality.py explains; that figures say so on the console costs nothing here.
import lighthouse, { desktopConfig } from "lighthouse";

const CATEGORIES = ["accessibility", "best-practices", "performance", "seo"];
const GOOD = 0.9;
const DESKTOP = 1500; // what Lighthouse's own benchmark says of an ordinary desktop
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

async function audit(address, cpuSlowdownMultiplier = 1) {
  const without = { blockedUrlPatterns: ["*/plotly.min.js"], skipAudits: ["errors-in-console"] };
  const throttling = { ...desktopConfig.settings.throttling, cpuSlowdownMultiplier };
  const flags = { port: Number(port), onlyCategories: CATEGORIES, logLevel: "error", throttling, ...without };
  const { lhr } = await lighthouse(address, flags, desktopConfig);
  if (lhr.runtimeError) throw new Error(`${address}: ${lhr.runtimeError.message}`);
  return lhr;
}

for (const address of addresses) {
  let lhr = await audit(address);
  const speed = () => lhr.environment.benchmarkIndex / DESKTOP;
  // What is slow on a slow or busy machine is judged again, at the speed of a desktop.
  for (let again = 0; again < 2 && lhr.categories.performance.score < GOOD && speed() < 1; again++) {
    lhr = await audit(address, speed());
  }
  const scores = Object.fromEntries(CATEGORIES.map((name) => [name, Math.round(100 * lhr.categories[name].score)]));
  console.log(JSON.stringify({ address, scores, speed: speed(), lost: lostPoints(lhr) }));
}
