// Lighthouse over a list of pages, in one headless Chromium: node run.mjs PAGES.json RESULTS.json
// It measures as Lighthouse does unasked: a phone in the middle range, on slow 4G. Nothing is reported to anybody.
import { readFileSync, writeFileSync } from "node:fs";

import { launch } from "chrome-launcher";
import lighthouse from "lighthouse";

const [asked, answered] = process.argv.slice(2);
const flags = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--no-first-run", "--no-proxy-server",
];
const chrome = await launch({ chromePath: process.env.CHROME_PATH, chromeFlags: flags });
const results = [];
try {
  for (const { name, url, cookie } of JSON.parse(readFileSync(asked, "utf8"))) {
    const { lhr } = await lighthouse(url, {
      port: chrome.port,
      logLevel: "error",
      onlyCategories: ["performance", "accessibility"],
      extraHeaders: cookie ? { Cookie: cookie } : undefined,
      enableErrorReporting: false,
    });
    if (lhr.runtimeError) throw new Error(`${url}: ${lhr.runtimeError.message}`);
    const score = (category) => Math.round(lhr.categories[category].score * 100);
    const figure = (audit) => Math.round(lhr.audits[audit].numericValue);
    const refs = Object.values(lhr.categories).flatMap((category) => category.auditRefs);
    const failed = refs.filter(({ id, weight }) => weight > 0 && lhr.audits[id].score !== null && lhr.audits[id].score < 0.9);
    results.push({
      name,
      address: new URL(lhr.finalDisplayedUrl).pathname,
      performance: score("performance"),
      accessibility: score("accessibility"),
      paint: figure("first-contentful-paint"),
      largest: figure("largest-contentful-paint"),
      blocked: figure("total-blocking-time"),
      bytes: figure("total-byte-weight"),
      failed: [...new Set(failed.map(({ id }) => id))],
    });
  }
} finally {
  await chrome.kill();
}
writeFileSync(answered, JSON.stringify(results));
