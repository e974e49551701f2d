/**
 * A document with its generated sections filled in. A section begins with a comment such as `<!-- fields: POST /generate -->` and ends with
 * `<!-- end -->`.
 * @param render the content of a section, from the text of its comment
 * @throws {Error} a section does not end
 */
export function filled(document: string, render: (name: string) => string): string {
  return document.replaceAll(section, (_, begin: string, name: string, content: string) => {
    if (content.includes('<!-- ')) throw new Error(`the section "${name}" lacks its <!-- end -->`);
    return `${begin}\n\n${render(name)}\n\n<!-- end -->`;
  });
}

/** The names of the sections of a document. */
export function sectionsOf(document: string): string[] {
  return [...document.matchAll(section)].map(([, , name = '']) => name);
}

const section = /(<!-- (\w+: [^>]+) -->)(.*?)<!-- end -->/gs;
