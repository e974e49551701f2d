/** What is held outside the JavaScript heap. */
export interface Resource {
  /** Gives it back. Calling it again does nothing. */
  free(): void;
}

/** Resources with one owner. They are freed together, the last one first. */
export class Resources implements Resource {
  readonly #frees: (() => void)[] = [];

  /** Owns a resource from now on. @returns the resource */
  own<Owned extends Resource>(resource: Owned): Owned {
    this.onFree(() => resource.free());
    return resource;
  }

  /** Calls this once when the others are freed. */
  onFree(free: () => void): void {
    this.#frees.push(free);
  }

  free(): void {
    for (let free = this.#frees.pop(); free !== undefined; free = this.#frees.pop()) free();
  }
}
