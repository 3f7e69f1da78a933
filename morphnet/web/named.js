// The coordinators that this page names, where none of them serves it: see cli/page. Else there are none, and the one that
// it is from is asked.
const told = globalThis.document?.querySelector?.('meta[name="coordinators"]')?.content;

export const named = told ? told.split(' ') : [];
