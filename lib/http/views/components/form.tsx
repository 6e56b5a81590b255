import type { ComponentChildren } from 'preact';
import { useView } from '../view';

interface FormProps {
  action: string;
  /** Default `'post'`, which carries the hidden fields against forgery. */
  method?: 'get' | 'post';
  /** Fields beside each other, where there is room. */
  isInline?: boolean;
  id?: string;
  children?: ComponentChildren;
}

/** A form. */
export function Form({ action, method = 'post', isInline = false, id, children }: FormProps) {
  const { hidden } = useView();
  return (
    <form class={isInline ? 'rf-form rf-inline' : 'rf-form'} id={id} method={method} action={action}>
      {method === 'post' && hidden.map(({ name, value }) => <Hidden key={name} name={name} value={value} />)}
      {children}
    </form>
  );
}

/** A field that nobody sees. */
export function Hidden({ name, value }: { name: string; value: string }) {
  return <input type="hidden" name={name} value={value} />;
}

export interface Choice {
  value: string;
  label: string;
}

export interface FieldProps {
  name: string;
  label: string;
  /** Default `'text'`. With `choices`: `'select'` or `'radio'`. */
  type?:
    | 'text'
    | 'email'
    | 'url'
    | 'number'
    | 'date'
    | 'datetime-local'
    | 'search'
    | 'textarea'
    | 'select'
    | 'radio'
    | 'checkbox';
  value?: string | null | undefined;
  choices?: readonly Choice[];
  /** What the field takes. */
  hint?: ComponentChildren;
  /** What is wrong with what was typed. */
  error?: string | null | undefined;
  isRequired?: boolean;
  isDisabled?: boolean;
  maxLength?: number;
  placeholder?: string;
  /** What a browser may fill in. Default `'off'`. */
  autoComplete?: string;
  /** The keyboard of a phone, such as `'decimal'`. */
  inputMode?: 'text' | 'decimal' | 'numeric' | 'email' | 'url';
}

/** A label, its input, a hint, and what is wrong. */
export function Field(props: FieldProps) {
  const { name, label, type = 'text', hint, error, choices = [], value } = props;
  const id = `rf-${name}`;
  const described = [hint ? `${id}-hint` : '', error ? `${id}-error` : ''].filter(Boolean).join(' ') || undefined;
  const notes = (
    <>
      {hint && (
        <span class="rf-hint" id={`${id}-hint`}>
          {hint}
        </span>
      )}
      {error && (
        <span class="rf-error" id={`${id}-error`}>
          {error}
        </span>
      )}
    </>
  );
  if (type === 'radio')
    return (
      <fieldset class="rf-field" aria-describedby={described}>
        <legend>{label}</legend>
        {choices.map((choice) => (
          <label key={choice.value} class="rf-choice">
            <input
              type="radio"
              name={name}
              value={choice.value}
              checked={choice.value === value}
              required={props.isRequired}
              disabled={props.isDisabled}
            />
            <span>{choice.label}</span>
          </label>
        ))}
        {notes}
      </fieldset>
    );
  if (type === 'checkbox')
    return (
      <div class="rf-field">
        <label class="rf-choice" for={id}>
          <input
            id={id}
            type="checkbox"
            name={name}
            value="yes"
            checked={value === 'yes'}
            aria-describedby={described}
          />
          <span>{label}</span>
        </label>
        {notes}
      </div>
    );
  return (
    <div class="rf-field">
      <label for={id}>{label}</label>
      <Input {...props} id={id} described={described} />
      {notes}
    </div>
  );
}

function Input({
  type = 'text',
  choices = [],
  id,
  described,
  ...props
}: FieldProps & { id: string; described: string | undefined }) {
  const shared = {
    id,
    'name': props.name,
    'required': props.isRequired,
    'disabled': props.isDisabled,
    'aria-describedby': described,
    'aria-invalid': props.error ? ('true' as const) : undefined,
  };
  const value = props.value ?? '';
  if (type === 'select')
    return (
      <select {...shared}>
        {choices.map((choice) => (
          <option key={choice.value} value={choice.value} selected={choice.value === value}>
            {choice.label}
          </option>
        ))}
      </select>
    );
  const typed = {
    maxLength: props.maxLength,
    placeholder: props.placeholder,
    autoComplete: props.autoComplete ?? 'off',
  };
  if (type === 'textarea')
    return (
      <textarea {...shared} {...typed} rows={3}>
        {value}
      </textarea>
    );
  return <input {...shared} {...typed} type={type} value={value} inputMode={props.inputMode} />;
}

interface ButtonProps {
  /** Default `'plain'`. */
  tone?: 'main' | 'plain' | 'bad';
  /** A link that looks like a button. */
  href?: string;
  name?: string;
  value?: string;
  /** For a script alone: `'button'`. Default `'submit'`. */
  type?: 'submit' | 'button';
  children?: ComponentChildren;
}

/** A button that sends the form it is in, or a link that looks like one. */
export function Button({ tone = 'plain', href, name, value, type = 'submit', children }: ButtonProps) {
  const look = `rf-button rf-button-${tone}`;
  if (href !== undefined)
    return (
      <a class={look} href={href}>
        {children}
      </a>
    );
  return (
    <button class={look} type={type} name={name} value={value}>
      {children}
    </button>
  );
}
