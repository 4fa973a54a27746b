// AsyncDisposableStack for a Node that has none (22). Defined globally and only where it is
// missing, with the part of ECMAScript's Explicit Resource Management that the package uses:
// use, defer, disposeAsync.

type Release = () => void | Promise<void>;

/** Resources that are let go of together, the last first. */
class DisposableStack22 implements AsyncDisposable {
  #releases: Release[] = [];
  #isDisposed = false;

  get disposed(): boolean {
    return this.#isDisposed;
  }

  use<Resource extends AsyncDisposable | Disposable | null | undefined>(
    resource: Resource,
  ): Resource {
    const release = releaseOf(resource);
    if (release !== undefined) this.defer(release);
    return resource;
  }

  defer(release: Release): void {
    if (this.#isDisposed) throw new ReferenceError('the stack is disposed');
    this.#releases.push(release);
  }

  /** Lets go of everything, whatever fails; throws the first failure then. */
  async disposeAsync(): Promise<void> {
    this.#isDisposed = true;
    const releases = this.#releases.toReversed();
    this.#releases = [];
    const failures: unknown[] = [];
    for (const release of releases) {
      try {
        await release();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.disposeAsync();
  }
}

function releaseOf(resource: AsyncDisposable | Disposable | null | undefined): Release | undefined {
  if (resource === null || resource === undefined) return undefined;
  if (Symbol.asyncDispose in resource) return async () => await resource[Symbol.asyncDispose]();
  if (Symbol.dispose in resource) return () => resource[Symbol.dispose]();
  throw new TypeError('the resource cannot be disposed');
}

/** Defines AsyncDisposableStack where there is none. */
export function provideDisposableStack(): void {
  if ('AsyncDisposableStack' in globalThis) return;
  Object.defineProperty(globalThis, 'AsyncDisposableStack', {
    value: DisposableStack22,
    writable: true,
    configurable: true,
  });
}
