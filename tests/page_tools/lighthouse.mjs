// Audit pages with Lighthouse in a Chromium that is already running.
//
//     node lighthouse.mjs PORT CATEGORY,CATEGORY... ADDRESS...
//
// Prints one JSON object a line for each address: its scores in per cent, the audits that cost points, the total blocking
// time in milliseconds where performance is among the categories, and Lighthouse's index of how fast the machine was.
import lighthouse, { desktopConfig } from "lighthouse";

const [port, listed, ...addresses] = process.argv.slice(2);
const categories = listed.split(",");
// Only what is measured in time needs seconds of quiet around it.
const unhurried = ["pauseAfterFcpMs", "pauseAfterLoadMs", "networkQuietThresholdMs", "cpuQuietThresholdMs"];
const pauses = categories.includes("performance") ? {} : Object.fromEntries(unhurried.map((name) => [name, 100]));
// A picture of the whole page, which may be many screens high, would only illustrate the report.
const bare = { disableFullPageScreenshot: true };

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
  const flags = { port: Number(port), onlyCategories: categories, ...pauses, ...bare, logLevel: "error" };
  const { lhr } = await lighthouse(address, flags, desktopConfig);
  if (lhr.runtimeError) throw new Error(`${address}: ${lhr.runtimeError.message}`);
  const scores = Object.fromEntries(categories.map((name) => [name, Math.round(100 * lhr.categories[name].score)]));
  const milliseconds = lhr.audits["total-blocking-time"]?.numericValue;
  const speed = lhr.environment.benchmarkIndex;
  console.log(JSON.stringify({ address, scores, lost: lostPoints(lhr), milliseconds, speed }));
}
