// The real tus-js-client: node tus_js.mjs MODULES PROTOCOL PARTS CUT URL FILE HEADERS
// Uploads FILE to URL in PARTS at a time; with CUT it is aborted after its first chunk, and another upload goes on.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const [modules, protocol, parts, cut, url, file, headers] = process.argv.slice(2);
const { Upload } = createRequire(modules + "/")("tus-js-client");
const data = readFileSync(file);
const common = { protocol, headers: JSON.parse(headers), retryDelays: [100, 500] };

function run(options, abortAfterFirst) {
  return new Promise((resolve, reject) => {
    const upload = new Upload(data, {
      ...common,
      ...options,
      onError: reject,
      onSuccess: () => resolve(upload.url),
      onChunkComplete: () => {
        if (abortAfterFirst) upload.abort().then(() => resolve(upload.url), reject);
      },
    });
    upload.start();
  });
}

const begun = { endpoint: url, chunkSize: 200_000 };
if (parts !== "1") {
  console.log(await run({ endpoint: url, parallelUploads: Number(parts) }, false));
} else if (cut === "1") {
  const address = await run(begun, true);
  console.log(await run({ uploadUrl: address, chunkSize: 200_000 }, false));
} else {
  console.log(await run(begun, false));
}
