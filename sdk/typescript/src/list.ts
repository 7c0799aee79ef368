// Lists: awaited, they are their first page; iterated over, they are all of it.

/** A page of a list: an array that knows how to get the next one. What `map` or `filter` make of it is a plain array. */
export class Page<T> extends Array<T> {
  /** Where the next page begins; null on the last one. */
  declare readonly nextCursor: string | null;
  /** Reads the next page; null after the last one. */
  declare readonly nextPage: () => Promise<Page<T> | null>;

  static override get [Symbol.species](): ArrayConstructor {
    return Array;
  }
}

/** What the API answers to a list. `nextCursor` is missing where lists come whole. */
export interface ListAnswer<T> {
  data: T[];
  nextCursor?: string | null;
}

type Load<T> = (cursor: string | undefined) => Promise<ListAnswer<T>>;

/**
 * A list that was asked for. Nothing is sent before it is awaited or iterated over.
 *
 * ```
 * const page = await rt.webhooks.list();                   // the first page, as an array
 * for await (const webhook of rt.webhooks.list()) { … }    // everything, page by page as it is needed
 * ```
 */
export class List<T> implements Promise<Page<T>>, AsyncIterable<T> {
  readonly #load: Load<T>;
  #first: Promise<Page<T>> | undefined;

  /** `load` reads the page that begins at a cursor. */
  constructor(load: Load<T>) {
    this.#load = load;
  }

  /** The pages, one after another. */
  async *pages(): AsyncGenerator<Page<T>, void, undefined> {
    for (let page: Page<T> | null = await this; page !== null; page = await page.nextPage()) {
      yield page;
    }
  }

  /** All that is in the list, over all pages. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for await (const page of this.pages()) yield* page;
  }

  /** Reads the first page, once, however often it is awaited. */
  then<A = Page<T>, B = never>(
    fulfilled?: ((page: Page<T>) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#first ??= this.#page(undefined);
    return this.#first.then(fulfilled, rejected);
  }

  /** As of a promise of the first page. */
  catch<B = never>(rejected?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<Page<T> | B> {
    return this.then(undefined, rejected);
  }

  /** As of a promise of the first page. */
  finally(settled?: (() => void) | null): Promise<Page<T>> {
    return this.then().finally(settled);
  }

  /** As of a promise. */
  get [Symbol.toStringTag](): string {
    return "List";
  }

  async #page(cursor: string | undefined): Promise<Page<T>> {
    const { data, nextCursor = null } = await this.#load(cursor);
    const page = new Page<T>();
    for (const item of data) page.push(item);
    const nextPage = async () => (nextCursor === null ? null : this.#page(nextCursor));
    // Hidden, so that a page looks, compares and prints as the array that it is.
    return Object.defineProperties(page, { nextCursor: { value: nextCursor }, nextPage: { value: nextPage } });
  }
}
