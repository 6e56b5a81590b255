import path from 'node:path';
import ts from 'typescript';

const root = path.join(__dirname, '..', '..');
const index = path.join(root, 'lib', 'index.ts');

/** The types that `lib/index.ts` exports, read by the compiler from the sources. */
export class PublicTypes {
  readonly #checker: ts.TypeChecker;
  readonly #exports: ReadonlyMap<string, ts.Symbol>;

  constructor() {
    const { config } = ts.readConfigFile(path.join(root, 'tsconfig.json'), (file) => ts.sys.readFile(file));
    const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
    const program = ts.createProgram([index], options);
    this.#checker = program.getTypeChecker();
    const module = this.#checker.getSymbolAtLocation(program.getSourceFile(index)!)!;
    this.#exports = new Map(this.#checker.getExportsOfModule(module).map((symbol) => [symbol.name, symbol]));
  }

  /** The names of all interfaces and type aliases. */
  get names(): string[] {
    const isType = ts.SymbolFlags.Interface | ts.SymbolFlags.TypeAlias;
    return [...this.#exports.keys()].filter((name) => (this.#symbol(name).flags & isType) !== 0);
  }

  /** The properties of a type, each with whether it may be left out. */
  fields(name: string): Record<string, 'required' | 'optional'> {
    const properties = this.#checker.getPropertiesOfType(this.#type(name));
    return Object.fromEntries(properties.map((property) => [property.name, presenceOf(property)]));
  }

  /** As {@link fields}, but instead of a property whose type is written out in place, the properties of that, with a dot. */
  options(name: string): Record<string, 'required' | 'optional'> {
    const named = this.#checker.getPropertiesOfType(this.#type(name)).flatMap((property) => {
      const declared = property.valueDeclaration;
      const type = declared && ts.isPropertySignature(declared) ? declared.type : undefined;
      if (!type || !ts.isTypeLiteralNode(type)) return [[property.name, presenceOf(property)] as const];
      const inner = this.#checker.getPropertiesOfType(this.#checker.getTypeFromTypeNode(type));
      return inner.map((one) => [`${property.name}.${one.name}`, presenceOf(one)] as const);
    });
    return Object.fromEntries(named);
  }

  /** The members of a union of texts. */
  members(name: string): string[] {
    const type = this.#type(name);
    return (type.isUnion() ? type.types : [type]).map((one) => (one as ts.StringLiteralType).value);
  }

  /** The methods that a class itself declares, without what it inherits. */
  methods(name: string): string[] {
    const symbol = this.#symbol(name);
    return [...symbol.members!.values()].filter(({ flags }) => flags & ts.SymbolFlags.Method).map(({ name }) => name);
  }

  /** The static methods of a class. */
  statics(name: string): string[] {
    const symbol = this.#symbol(name);
    return [...symbol.exports!.values()].filter(({ flags }) => flags & ts.SymbolFlags.Method).map(({ name }) => name);
  }

  /**
   * The methods that a type hides: protected ones, and those with the tag `@internal`. Those of its properties have a dot, as in
   * `channels.load`.
   */
  hidden(name: string): string[] {
    const ofType = (type: ts.Type, depth: number): string[] =>
      this.#checker.getPropertiesOfType(type).flatMap((property) => {
        if (isHidden(property)) return [property.name];
        const inner = this.#checker.getTypeOfSymbol(property);
        if (depth === 0 || !inner.isClass()) return [];
        return ofType(inner, depth - 1).map((method) => `${property.name}.${method}`);
      });
    return ofType(this.#type(name), 1);
  }

  /**
   * The calls of a type, and with a dot those of its properties, that have a parameter with all of these fields, as in
   * `channels.update`.
   */
  callsWith(name: string, fields: readonly string[]): string[] {
    const isTaken = (method: ts.Type): boolean =>
      method
        .getCallSignatures()
        .flatMap(({ parameters }) => parameters)
        .map((parameter) => this.#checker.getNonNullableType(this.#checker.getTypeOfSymbol(parameter)))
        .some((type) => fields.every((field) => this.#checker.getPropertyOfType(type, field) !== undefined));
    const ofType = (type: ts.Type, depth: number): string[] =>
      this.#checker.getPropertiesOfType(type).flatMap((property) => {
        if (isHidden(property) || property.name.includes('#')) return [];
        const inner = this.#checker.getTypeOfSymbol(property);
        if (inner.getCallSignatures().length > 0) return isTaken(inner) ? [property.name] : [];
        if (depth === 0 || !inner.isClass()) return [];
        return ofType(inner, depth - 1).map((call) => `${property.name}.${call}`);
      });
    return ofType(this.#type(name), 1);
  }

  #symbol(name: string): ts.Symbol {
    const symbol = this.#exports.get(name);
    if (!symbol) throw new Error(`lib/index.ts exports no ${name}`);
    return symbol.flags & ts.SymbolFlags.Alias ? this.#checker.getAliasedSymbol(symbol) : symbol;
  }

  /** A type by its name; for `coupons.apply`, the last parameter of that method of `Referrals`. */
  #type(name: string): ts.Type {
    if (!name.includes('.')) return this.#checker.getDeclaredTypeOfSymbol(this.#symbol(name));
    const method = name
      .split('.')
      .reduce((type, part) => this.#checker.getTypeOfSymbol(type.getProperty(part)!), this.#type('Referrals'));
    const last = method.getCallSignatures()[0]!.parameters.at(-1)!;
    return this.#checker.getNonNullableType(this.#checker.getTypeOfSymbol(last));
  }
}

function isHidden({ declarations = [] }: ts.Symbol): boolean {
  return declarations.some(
    (declaration) =>
      (ts.getCombinedModifierFlags(declaration) & ts.ModifierFlags.Protected) !== 0 ||
      ts.getJSDocTags(declaration).some(({ tagName }) => tagName.text === 'internal'),
  );
}

function presenceOf({ flags }: ts.Symbol): 'required' | 'optional' {
  return flags & ts.SymbolFlags.Optional ? 'optional' : 'required';
}
