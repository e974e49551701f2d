/** Something outside the JavaScript heap. */
export interface Resource {
  /** Releases it. Calling this again does nothing. */
  free(): void;
}

/** Resources with one owner. They are freed together, in reverse order. */
export class Resources implements Resource {
  readonly #frees: (() => void)[] = [];

  /** Takes ownership of a resource. @returns the resource */
  own<Owned extends Resource>(resource: Owned): Owned {
    this.onFree(() => resource.free());
    return resource;
  }

  /** Calls `free` once, when the resources are freed. */
  onFree(free: () => void): void {
    this.#frees.push(free);
  }

  free(): void {
    for (let free = this.#frees.pop(); free !== undefined; free = this.#frees.pop()) free();
  }
}
